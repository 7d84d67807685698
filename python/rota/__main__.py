# SPDX-License-Identifier: MIT
"""
Runs a program that uses asyncio on rota's loop; `_program` does it.

    python3 -m rota SCRIPT [ARGUMENT...]
    python3 -m rota -m MODULE [ARGUMENT...]
    python3 -m rota -c COMMAND [ARGUMENT...]
"""

from rota._program import main

if __name__ == '__main__':
    main()
