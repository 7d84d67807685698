# SPDX-License-Identifier: MIT
"""
The tutorial through to its end

Its fourth part calls asyncio.run() inside of a running loop. With
nest_asyncio, which this needs, that is no error, and the other five parts
follow.
"""

import asyncio

import nest_asyncio

import tutorial

nest_asyncio.apply()
asyncio.run(tutorial.main())
