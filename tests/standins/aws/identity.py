"""IAM's and KMS's kinds: roles with their rights, and keys. All of them are moto's."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from tests.standins.aws.account import Account
from tests.standins.aws.buckets import same_json
from tests.standins.aws.kind import Attached, Kind, changed_tags, tag_list, tags_of
from tests.standins.values import Values, given


class Role(Kind):
    token = "aws:iam/role:Role"
    named = "name"
    computed = ("arn", "createDate", "uniqueId")

    def create(self, account: Account, inputs: Values) -> str:
        made: str = account.iam.create_role(
            **given(
                RoleName=inputs["name"],
                AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
                Description=inputs.get("description"),
                PermissionsBoundary=inputs.get("permissionsBoundary"),
                Tags=tag_list(inputs.get("tags")),
            )
        )["Role"]["RoleName"]
        return made

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        found = account.iam.get_role(RoleName=made)["Role"]
        return {
            "name": made,
            "arn": found["Arn"],
            "uniqueId": found["RoleId"],
            "createDate": found["CreateDate"].isoformat(),
            "assumeRolePolicy": same_json(
                _document(found["AssumeRolePolicyDocument"]), state.get("assumeRolePolicy")
            ),
            "tags": tags_of(account.iam.list_role_tags(RoleName=made)["Tags"]),
        }

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        iam = account.iam
        iam.update_assume_role_policy(RoleName=made, PolicyDocument=new["assumeRolePolicy"])
        iam.update_role(RoleName=made, Description=new.get("description", ""))
        tags, removed = changed_tags(old, new)
        iam.untag_role(RoleName=made, TagKeys=removed)
        iam.tag_role(RoleName=made, Tags=tag_list(tags))

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.iam.delete_role(RoleName=made)


def _document(found: Any) -> str:
    """botocore decodes a document here and not there."""
    return json.dumps(found) if isinstance(found, dict) else unquote(found)


class RolePolicy(Attached):
    token = "aws:iam/rolePolicy:RolePolicy"
    named = "name"

    def put(self, account: Account, inputs: Values) -> None:
        account.iam.put_role_policy(
            RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"]
        )

    def identity(self, inputs: Values) -> str:
        return f"{inputs['role']}:{inputs['name']}"

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        role, name = made.split(":", 1)
        found = account.iam.get_role_policy(RoleName=role, PolicyName=name)
        return {
            "role": role,
            "name": name,
            "policy": same_json(_document(found["PolicyDocument"]), state.get("policy")),
        }

    def delete(self, account: Account, made: str, state: Values) -> None:
        role, name = made.split(":", 1)
        account.iam.delete_role_policy(RoleName=role, PolicyName=name)


class RolePolicyAttachment(Kind):
    token = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"

    def create(self, account: Account, inputs: Values) -> str:
        account.iam.attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])
        return f"{inputs['role']}/{inputs['policyArn']}"

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        role, arn = made.split("/", 1)
        attached = account.iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        if arn not in {each["PolicyArn"] for each in attached}:
            return None
        return {"role": role, "policyArn": arn}

    def delete(self, account: Account, made: str, state: Values) -> None:
        role, arn = made.split("/", 1)
        account.iam.detach_role_policy(RoleName=role, PolicyArn=arn)


class Policy(Kind):
    token = "aws:iam/policy:Policy"
    named = "name"
    computed = ("arn", "policyId")

    def create(self, account: Account, inputs: Values) -> str:
        made: str = account.iam.create_policy(
            **given(
                PolicyName=inputs["name"],
                PolicyDocument=inputs["policy"],
                Description=inputs.get("description"),
                Tags=tag_list(inputs.get("tags")),
            )
        )["Policy"]["Arn"]
        return made

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        found = account.iam.get_policy(PolicyArn=made)["Policy"]
        version = account.iam.get_policy_version(PolicyArn=made, VersionId=found["DefaultVersionId"])
        document = _document(version["PolicyVersion"]["Document"])
        return {
            "name": found["PolicyName"],
            "arn": made,
            "policyId": found["PolicyId"],
            "policy": same_json(document, state.get("policy")),
            "tags": tags_of(account.iam.list_policy_tags(PolicyArn=made)["Tags"]),
        }

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        iam = account.iam
        if old["policy"] != new["policy"]:
            self._only_the_default(account, made)
            iam.create_policy_version(PolicyArn=made, PolicyDocument=new["policy"], SetAsDefault=True)
        tags, removed = changed_tags(old, new)
        iam.untag_policy(PolicyArn=made, TagKeys=removed)
        iam.tag_policy(PolicyArn=made, Tags=tag_list(tags))

    def delete(self, account: Account, made: str, state: Values) -> None:
        self._only_the_default(account, made)
        account.iam.delete_policy(PolicyArn=made)

    @staticmethod
    def _only_the_default(account: Account, made: str) -> None:
        # IAM keeps at most five versions, and deletes no policy that has others than its default.
        for version in account.iam.list_policy_versions(PolicyArn=made)["Versions"]:
            if not version["IsDefaultVersion"]:
                account.iam.delete_policy_version(PolicyArn=made, VersionId=version["VersionId"])


class Key(Kind):
    token = "aws:kms/key:Key"
    computed = ("arn", "keyId")
    default_days = 30

    def create(self, account: Account, inputs: Values) -> str:
        made: str = account.kms.create_key(
            **given(
                Description=inputs.get("description"),
                Policy=inputs.get("policy"),
                Tags=tag_list(inputs.get("tags"), "TagKey", "TagValue"),
            )
        )["KeyMetadata"]["KeyId"]
        self._rotate(account, made, inputs)
        return made

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        found = account.kms.describe_key(KeyId=made)["KeyMetadata"]
        if found["KeyState"] == "PendingDeletion":
            return None
        rotated = account.kms.get_key_rotation_status(KeyId=made)["KeyRotationEnabled"]
        tagged = account.kms.list_resource_tags(KeyId=made)["Tags"]
        return {
            "arn": found["Arn"],
            "keyId": made,
            "description": found["Description"],
            "enableKeyRotation": rotated,
            "tags": tags_of(tagged, "TagKey", "TagValue"),
        }

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        kms = account.kms
        kms.update_key_description(KeyId=made, Description=new.get("description", ""))
        if "policy" in new:
            kms.put_key_policy(KeyId=made, PolicyName="default", Policy=new["policy"])
        self._rotate(account, made, new)
        tags, removed = changed_tags(old, new)
        kms.untag_resource(KeyId=made, TagKeys=removed)
        kms.tag_resource(KeyId=made, Tags=tag_list(tags, "TagKey", "TagValue"))

    def delete(self, account: Account, made: str, state: Values) -> None:
        days = state.get("deletionWindowInDays", self.default_days)
        account.kms.schedule_key_deletion(KeyId=made, PendingWindowInDays=days)

    @staticmethod
    def _rotate(account: Account, made: str, inputs: Values) -> None:
        if inputs.get("enableKeyRotation"):
            account.kms.enable_key_rotation(KeyId=made)
        else:
            account.kms.disable_key_rotation(KeyId=made)


class Alias(Kind):
    token = "aws:kms/alias:Alias"
    named = "name"
    computed = ("arn", "targetKeyArn")

    def create(self, account: Account, inputs: Values) -> str:
        made: str = inputs["name"]
        account.kms.create_alias(AliasName=made, TargetKeyId=inputs["targetKeyId"])
        return made

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        for page in account.kms.get_paginator("list_aliases").paginate():
            for each in page["Aliases"]:
                if each["AliasName"] == made:
                    target = each["TargetKeyId"]
                    return {
                        "name": made,
                        "arn": account.arn("kms", made),
                        "targetKeyId": target,
                        "targetKeyArn": account.arn("kms", f"key/{target}"),
                    }
        return None

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        account.kms.update_alias(AliasName=made, TargetKeyId=new["targetKeyId"])

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.kms.delete_alias(AliasName=made)


class KeyPolicy(Attached):
    token = "aws:kms/keyPolicy:KeyPolicy"
    identified_by = "keyId"

    def put(self, account: Account, inputs: Values) -> None:
        account.kms.put_key_policy(KeyId=inputs["keyId"], PolicyName="default", Policy=inputs["policy"])

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        if account.kms.describe_key(KeyId=made)["KeyMetadata"]["KeyState"] == "PendingDeletion":
            return None
        found = account.kms.get_key_policy(KeyId=made, PolicyName="default")["Policy"]
        return {"keyId": made, "policy": same_json(found, state.get("policy"))}

    def delete(self, account: Account, made: str, state: Values) -> None:
        everything = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": account.arn("iam", "root").replace(account.region, "")},
                    "Action": "kms:*",
                    "Resource": "*",
                }
            ],
        }
        account.kms.put_key_policy(KeyId=made, PolicyName="default", Policy=json.dumps(everything))


IDENTITY: tuple[Kind, ...] = (
    Role(),
    RolePolicy(),
    RolePolicyAttachment(),
    Policy(),
    Key(),
    Alias(),
    KeyPolicy(),
)
