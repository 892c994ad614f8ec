"""Looks into a bucket with somebody else's client: `look.py URL CA create|names|text BUCKET [PREFIX]`."""
import sys

import boto3
from botocore.config import Config

url, ca, verb, bucket = sys.argv[1:5]
prefix = sys.argv[5] if len(sys.argv) > 5 else ""
store = boto3.client(
    "s3", endpoint_url=url, verify=ca, region_name="us-east-1",
    aws_access_key_id="gate", aws_secret_access_key="secret",
    config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
)
if verb == "create":
    store.create_bucket(Bucket=bucket)
else:
    for page in store.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for found in page.get("Contents", []):
            if verb == "names":
                print(found["Key"])
            else:
                sys.stdout.write(store.get_object(Bucket=bucket, Key=found["Key"])["Body"].read().decode())
