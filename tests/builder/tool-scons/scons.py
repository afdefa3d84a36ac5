"""PlatformIO starts this file; SCons itself is installed beside PlatformIO."""

import SCons.Script

SCons.Script.main()
