# SPDX-License-Identifier: Apache-2.0
"""What `atoll` hands over to once there is Python."""
import sys

from atoll.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
