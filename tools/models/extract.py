#!/usr/bin/env python3
"""Copy one file out of a wheel, which is a zip archive.

Usage: extract.py WHEEL MEMBER DESTINATION
"""

import shutil
import sys
import zipfile

wheel, member, destination = sys.argv[1:4]
with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, open(destination, "wb") as out:
    shutil.copyfileobj(source, out, 1 << 20)
