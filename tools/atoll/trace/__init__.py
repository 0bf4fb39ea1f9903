# SPDX-License-Identifier: Apache-2.0
"""`./atoll trace`: what the cores did, from their trace rings."""
