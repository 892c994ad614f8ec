"""Prints the JSON Schema of a class of OCSF, by its number, with the profiles that follow.

Usage: ocsf.py VERSION CLASS_UID [PROFILE …]
"""

import json
import sys

from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

version, uid, profiles = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
schemas = OcsfJsonSchemaEmbedded(get_ocsf_schema(version))
name = schemas.lookup_class_name_from_uid(uid)
print(json.dumps(schemas.get_class_schema(name, profiles)))
