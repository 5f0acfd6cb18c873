"""S3's kinds: buckets, what is set on them, and objects. All of them are moto's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from tests.standins.aws.account import Account
from tests.standins.aws.kind import Attached, Kind, tag_list, tags_of
from tests.standins.values import Values, camel, given, pascal

ASSET_PATH = "path"


class Bucket(Kind):
    token = "aws:s3/bucket:Bucket"
    named = "bucket"
    computed = ("arn", "bucketDomainName", "bucketRegionalDomainName", "hostedZoneId")

    def create(self, account: Account, inputs: Values) -> str:
        made: str = inputs["bucket"]
        if account.region == "us-east-1":
            account.s3.create_bucket(Bucket=made)
        else:
            account.s3.create_bucket(
                Bucket=made, CreateBucketConfiguration={"LocationConstraint": account.region}
            )
        self._tag(account, made, inputs)
        return made

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        account.s3.head_bucket(Bucket=made)
        tagged = _set_or(lambda: account.s3.get_bucket_tagging(Bucket=made)["TagSet"], [])
        return {
            "bucket": made,
            "arn": f"arn:aws:s3:::{made}",
            "bucketDomainName": f"{made}.s3.amazonaws.com",
            "bucketRegionalDomainName": f"{made}.s3.{account.region}.amazonaws.com",
            "hostedZoneId": "Z21DNDUVLTQW6Q",
            "tags": tags_of(tagged),
        }

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        self._tag(account, made, new)

    def delete(self, account: Account, made: str, state: Values) -> None:
        if state.get("forceDestroy"):
            _empty(account.s3, made)
        account.s3.delete_bucket(Bucket=made)

    @staticmethod
    def _tag(account: Account, made: str, inputs: Values) -> None:
        if tags := inputs.get("tags"):
            account.s3.put_bucket_tagging(Bucket=made, Tagging={"TagSet": tag_list(tags)})
        else:
            account.s3.delete_bucket_tagging(Bucket=made)


def _empty(s3: Any, bucket: str) -> None:
    listed = s3.list_object_versions(Bucket=bucket)
    for each in (*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())):
        s3.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])


def _set_or(call: Any, otherwise: Any) -> Any:
    """What a part of a bucket is set to, or `otherwise` where it is not set."""
    try:
        return call()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code.startswith("NoSuch") and code != "NoSuchBucket":
            return otherwise
        raise


class BucketPart(Attached):
    """What is set on a bucket as a whole."""

    identified_by = "bucket"


class BucketPolicy(BucketPart):
    token = "aws:s3/bucketPolicy:BucketPolicy"

    def put(self, account: Account, inputs: Values) -> None:
        account.s3.put_bucket_policy(Bucket=inputs["bucket"], Policy=self._for_moto(inputs["policy"]))

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        seen = account.s3.get_bucket_policy(Bucket=made)["Policy"]
        declared = state.get("policy")
        kept = isinstance(declared, str) and json.loads(self._for_moto(declared)) == json.loads(seen)
        return {"policy": declared if kept else seen}

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.s3.delete_bucket_policy(Bucket=made)

    @staticmethod
    def _for_moto(policy: str) -> str:
        """What moto can judge by.

        Everybody is ``{"AWS": "*"}``, which says the same: of ``"*"`` moto makes an error of its own. And it
        knows no conditions, so that what is denied under one would be denied always: this is left out.
        """
        found = json.loads(policy)
        kept = [each for each in found["Statement"] if each["Effect"] != "Deny" or "Condition" not in each]
        for statement in kept:
            if statement.get("Principal") == "*":
                statement["Principal"] = {"AWS": "*"}
        return json.dumps(found | {"Statement": kept})


def same_json(seen: str, declared: Any) -> str:
    """`declared` where both say the same: AWS keeps a document, not its spaces."""
    if isinstance(declared, str) and json.loads(seen) == json.loads(declared):
        return declared
    return seen


class BucketPublicAccessBlock(BucketPart):
    token = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    rules = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")

    def put(self, account: Account, inputs: Values) -> None:
        account.s3.put_public_access_block(
            Bucket=inputs["bucket"],
            PublicAccessBlockConfiguration=pascal({name: inputs.get(name, False) for name in self.rules}),
        )

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        found = account.s3.get_public_access_block(Bucket=made)["PublicAccessBlockConfiguration"]
        seen: Values = camel(found)
        return seen

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.s3.delete_public_access_block(Bucket=made)


class BucketOwnershipControls(BucketPart):
    token = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"

    def put(self, account: Account, inputs: Values) -> None:
        account.s3.put_bucket_ownership_controls(
            Bucket=inputs["bucket"], OwnershipControls={"Rules": [pascal(inputs["rule"])]}
        )

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        (rule,) = account.s3.get_bucket_ownership_controls(Bucket=made)["OwnershipControls"]["Rules"]
        return {"rule": camel(rule)}

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.s3.delete_bucket_ownership_controls(Bucket=made)


class BucketVersioning(BucketPart):
    token = "aws:s3/bucketVersioning:BucketVersioning"

    def put(self, account: Account, inputs: Values) -> None:
        account.s3.put_bucket_versioning(
            Bucket=inputs["bucket"],
            VersioningConfiguration={"Status": inputs["versioningConfiguration"]["status"]},
        )

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        status = account.s3.get_bucket_versioning(Bucket=made).get("Status")
        return {"versioningConfiguration": {"status": status}} if status else None

    def delete(self, account: Account, made: str, state: Values) -> None:
        # S3 can't go back to a bucket that never had versions; the real provider suspends them too.
        account.s3.put_bucket_versioning(Bucket=made, VersioningConfiguration={"Status": "Suspended"})


class BucketLogging(BucketPart):
    token = "aws:s3/bucketLogging:BucketLogging"

    def put(self, account: Account, inputs: Values) -> None:
        account.s3.put_bucket_logging(
            Bucket=inputs["bucket"],
            BucketLoggingStatus={
                "LoggingEnabled": {
                    "TargetBucket": inputs["targetBucket"],
                    "TargetPrefix": inputs["targetPrefix"],
                }
            },
        )

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        found = account.s3.get_bucket_logging(Bucket=made).get("LoggingEnabled")
        if not found:
            return None
        return {"targetBucket": found["TargetBucket"], "targetPrefix": found["TargetPrefix"]}

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.s3.put_bucket_logging(Bucket=made, BucketLoggingStatus={})


class BucketEncryption(BucketPart):
    token = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"

    def put(self, account: Account, inputs: Values) -> None:
        account.s3.put_bucket_encryption(
            Bucket=inputs["bucket"],
            ServerSideEncryptionConfiguration={"Rules": [_encryption(rule) for rule in inputs["rules"]]},
        )

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        found = account.s3.get_bucket_encryption(Bucket=made)["ServerSideEncryptionConfiguration"]["Rules"]
        return {"rules": [_encryption_seen(rule) for rule in found]}

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.s3.delete_bucket_encryption(Bucket=made)


def _encryption(rule: Values) -> Values:
    by = rule["applyServerSideEncryptionByDefault"]
    return {
        "ApplyServerSideEncryptionByDefault": given(
            SSEAlgorithm=by["sseAlgorithm"], KMSMasterKeyID=by.get("kmsMasterKeyId")
        ),
        "BucketKeyEnabled": rule.get("bucketKeyEnabled", False),
    }


def _encryption_seen(rule: Values) -> Values:
    by = rule["ApplyServerSideEncryptionByDefault"]
    return {
        "applyServerSideEncryptionByDefault": given(
            sseAlgorithm=by["SSEAlgorithm"], kmsMasterKeyId=by.get("KMSMasterKeyID")
        ),
        # moto answers in XML, where a flag is a word.
        "bucketKeyEnabled": str(rule.get("BucketKeyEnabled", False)).lower() == "true",
    }


class BucketLifecycle(BucketPart):
    token = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    renamed: ClassVar[dict[str, str]] = {"Id": "ID"}

    def put(self, account: Account, inputs: Values) -> None:
        rules = [
            {self.renamed.get(name, name): value for name, value in pascal(rule).items()}
            for rule in inputs["rules"]
        ]
        account.s3.put_bucket_lifecycle_configuration(
            Bucket=inputs["bucket"], LifecycleConfiguration={"Rules": rules}
        )

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        found = account.s3.get_bucket_lifecycle_configuration(Bucket=made)["Rules"]
        back = {theirs: ours for ours, theirs in self.renamed.items()}
        rules = [camel({back.get(name, name): value for name, value in rule.items()}) for rule in found]
        return {"rules": rules}

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.s3.delete_bucket_lifecycle(Bucket=made)


class BucketObject(Kind):
    token = "aws:s3/bucketObjectv2:BucketObjectv2"
    computed = ("arn", "checksumSha256", "etag", "versionId")

    def create(self, account: Account, inputs: Values) -> str:
        self._put(account, inputs)
        return f"{inputs['bucket']}/{inputs['key']}"

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        bucket, key = made.split("/", 1)
        found = account.s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        tagged = account.s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
        return {
            "bucket": bucket,
            "key": key,
            "arn": f"arn:aws:s3:::{made}",
            "etag": found["ETag"].strip('"'),
            "versionId": found.get("VersionId", ""),
            "checksumSha256": found.get("ChecksumSHA256", ""),
            "tags": tags_of(tagged),
        }

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        self._put(account, new)

    def delete(self, account: Account, made: str, state: Values) -> None:
        bucket, key = made.split("/", 1)
        listed = account.s3.list_object_versions(Bucket=bucket, Prefix=key)
        for each in (*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())):
            if each["Key"] == key:
                account.s3.delete_object(Bucket=bucket, Key=key, VersionId=each["VersionId"])

    @staticmethod
    def _put(account: Account, inputs: Values) -> None:
        if "source" in inputs:
            body = Path(inputs["source"][ASSET_PATH]).read_bytes()
        else:
            body = str(inputs.get("content", "")).encode()
        tags = "&".join(f"{name}={value}" for name, value in sorted((inputs.get("tags") or {}).items()))
        account.s3.put_object(
            **given(
                Bucket=inputs["bucket"],
                Key=inputs["key"],
                Body=body,
                ChecksumAlgorithm=inputs.get("checksumAlgorithm"),
                Tagging=tags or None,
            )
        )


BUCKETS: tuple[Kind, ...] = (
    Bucket(),
    BucketPolicy(),
    BucketPublicAccessBlock(),
    BucketOwnershipControls(),
    BucketVersioning(),
    BucketLogging(),
    BucketEncryption(),
    BucketLifecycle(),
    BucketObject(),
)
