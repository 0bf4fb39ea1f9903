# SPDX-License-Identifier: Apache-2.0
"""What a machine that runs says of itself over its debug line."""
