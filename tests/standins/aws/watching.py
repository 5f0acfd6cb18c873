"""Kinds of what watches a stack: logs, alarms, who is told, metrics. A record is behind what moto lacks."""

from __future__ import annotations

from tests.standins.aws.account import Account, identifier
from tests.standins.aws.buckets import same_json
from tests.standins.aws.kind import Attached, Kind, changed_tags, first, tag_list, tags_of
from tests.standins.aws.recorded import Recorded
from tests.standins.values import Values, camel, given, pascal


class LogGroup(Kind):
    token = "aws:cloudwatch/logGroup:LogGroup"
    named = "name"
    computed = ("arn",)

    def create(self, account: Account, inputs: Values) -> str:
        made: str = inputs.get("name") or f"{inputs['namePrefix']}{identifier()[:8]}"
        account.logs.create_log_group(
            **given(logGroupName=made, kmsKeyId=inputs.get("kmsKeyId"), tags=inputs.get("tags") or None)
        )
        self._keep(account, made, inputs)
        return made

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        listed = account.logs.describe_log_groups(logGroupNamePrefix=made)["logGroups"]
        found = first([each for each in listed if each["logGroupName"] == made])
        if found is None:
            return None
        arn = account.arn("logs", f"log-group:{made}")
        return given(
            name=made,
            arn=arn,
            retentionInDays=found.get("retentionInDays", 0),
            kmsKeyId=found.get("kmsKeyId"),
            tags=account.logs.list_tags_for_resource(resourceArn=arn)["tags"],
        )

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        self._keep(account, made, new)
        arn = account.arn("logs", f"log-group:{made}")
        tags, removed = changed_tags(old, new)
        account.logs.untag_resource(resourceArn=arn, tagKeys=removed)
        account.logs.tag_resource(resourceArn=arn, tags=tags)

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.logs.delete_log_group(logGroupName=made)

    @staticmethod
    def _keep(account: Account, made: str, inputs: Values) -> None:
        if days := inputs.get("retentionInDays"):
            account.logs.put_retention_policy(logGroupName=made, retentionInDays=days)


class MetricAlarm(Attached):
    token = "aws:cloudwatch/metricAlarm:MetricAlarm"
    identified_by = "name"
    named = "name"
    computed = ("arn",)
    plain = (
        "actionsEnabled", "alarmActions", "alarmDescription", "comparisonOperator", "datapointsToAlarm",
        "dimensions", "evaluationPeriods", "insufficientDataActions", "metricName", "namespace", "okActions",
        "period", "statistic", "threshold", "treatMissingData", "unit",
    )  # fmt: skip

    def put(self, account: Account, inputs: Values) -> None:
        asked = pascal({name: inputs[name] for name in self.plain if name in inputs and name != "dimensions"})
        asked["OKActions"] = asked.pop("OkActions", [])
        if "dimensions" in inputs:
            asked["Dimensions"] = tag_list(inputs["dimensions"], "Name", "Value")
        if "metricQueries" in inputs:
            asked["Metrics"] = [_query(each) for each in inputs["metricQueries"]]
        account.cloudwatch.put_metric_alarm(
            AlarmName=inputs["name"], Tags=tag_list(inputs.get("tags")), **asked
        )

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        found = first(account.cloudwatch.describe_alarms(AlarmNames=[made])["MetricAlarms"])
        if found is None:
            return None
        arn = found["AlarmArn"]
        seen: Values = {
            name: value
            for name, value in camel(found).items()
            if name in self.plain and name not in {"dimensions", "okActions"} and name in state
        }
        if "dimensions" in state:
            seen["dimensions"] = tags_of(found["Dimensions"], "Name", "Value")
        return seen | {
            "name": made,
            "arn": arn,
            "tags": tags_of(account.cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"]),
        }

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.cloudwatch.delete_alarms(AlarmNames=[made])


def _query(query: Values) -> Values:
    asked: Values = pascal({name: value for name, value in query.items() if name != "metrics"})
    if "metric" in query:
        metric = query["metric"]
        asked["MetricStat"] = given(
            Metric={
                "MetricName": metric["metricName"],
                "Namespace": metric["namespace"],
                "Dimensions": tag_list(metric.get("dimensions"), "Name", "Value"),
            },
            Period=metric["period"],
            Stat=metric["stat"],
        )
        del asked["Metric"]
    return asked


class Dashboard(Attached):
    token = "aws:cloudwatch/dashboard:Dashboard"
    identified_by = "dashboardName"
    named = "dashboardName"
    computed = ("dashboardArn",)

    def put(self, account: Account, inputs: Values) -> None:
        account.cloudwatch.put_dashboard(
            DashboardName=inputs["dashboardName"], DashboardBody=inputs["dashboardBody"]
        )

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        found = account.cloudwatch.get_dashboard(DashboardName=made)
        return {
            "dashboardName": made,
            "dashboardArn": found["DashboardArn"],
            "dashboardBody": same_json(found["DashboardBody"], state.get("dashboardBody")),
        }

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.cloudwatch.delete_dashboards(DashboardNames=[made])


class Topic(Kind):
    token = "aws:sns/topic:Topic"
    named = "name"
    computed = ("arn", "owner")

    def create(self, account: Account, inputs: Values) -> str:
        key = inputs.get("kmsMasterKeyId")
        made: str = account.sns.create_topic(
            Name=inputs["name"],
            Attributes={"KmsMasterKeyId": key} if key else {},
            Tags=tag_list(inputs.get("tags")),
        )["TopicArn"]
        return made

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        found = account.sns.get_topic_attributes(TopicArn=made)["Attributes"]
        return given(
            arn=made,
            name=made.rpartition(":")[2],
            owner=found["Owner"],
            kmsMasterKeyId=found.get("KmsMasterKeyId"),
            tags=tags_of(account.sns.list_tags_for_resource(ResourceArn=made)["Tags"]),
        )

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        account.sns.set_topic_attributes(
            TopicArn=made, AttributeName="KmsMasterKeyId", AttributeValue=new.get("kmsMasterKeyId", "")
        )
        tags, removed = changed_tags(old, new)
        account.sns.untag_resource(ResourceArn=made, TagKeys=removed)
        account.sns.tag_resource(ResourceArn=made, Tags=tag_list(tags))

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.sns.delete_topic(TopicArn=made)


class TopicPolicy(Attached):
    token = "aws:sns/topicPolicy:TopicPolicy"
    identified_by = "arn"
    computed = ("owner",)

    def put(self, account: Account, inputs: Values) -> None:
        account.sns.set_topic_attributes(
            TopicArn=inputs["arn"], AttributeName="Policy", AttributeValue=inputs["policy"]
        )

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        found = account.sns.get_topic_attributes(TopicArn=made)["Attributes"]
        return {
            "arn": made,
            "owner": found["Owner"],
            "policy": same_json(found["Policy"], state.get("policy")),
        }

    def delete(self, account: Account, made: str, state: Values) -> None:
        """A topic always has a policy: its first one comes back with the topic's end."""


class TopicSubscription(Kind):
    token = "aws:sns/topicSubscription:TopicSubscription"
    computed = ("arn", "ownerId", "pendingConfirmation")

    def create(self, account: Account, inputs: Values) -> str:
        made: str = account.sns.subscribe(
            TopicArn=inputs["topic"],
            Protocol=inputs["protocol"],
            Endpoint=inputs["endpoint"],
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        return made

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        found = account.sns.get_subscription_attributes(SubscriptionArn=made)["Attributes"]
        return {
            "arn": made,
            "topic": found["TopicArn"],
            "protocol": found["Protocol"],
            "endpoint": found["Endpoint"],
            "ownerId": found["Owner"],
            "pendingConfirmation": found["PendingConfirmation"] == "true",
        }

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.sns.unsubscribe(SubscriptionArn=made)


class Workspace(Kind):
    token = "aws:amp/workspace:Workspace"
    computed = ("arn", "prometheusEndpoint")

    def create(self, account: Account, inputs: Values) -> str:
        made: str = account.amp.create_workspace(
            **given(
                alias=inputs.get("alias"), kmsKeyArn=inputs.get("kmsKeyArn"), tags=inputs.get("tags") or None
            )
        )["workspaceId"]
        if logs := inputs.get("loggingConfiguration"):
            account.amp.create_logging_configuration(workspaceId=made, logGroupArn=logs["logGroupArn"])
        return made

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        found = account.amp.describe_workspace(workspaceId=made)["workspace"]
        return given(
            alias=found.get("alias"),
            arn=found["arn"],
            # AWS's ends so, and paths are put together with it; moto's has no end.
            prometheusEndpoint=f"https://aps-workspaces.{account.region}.amazonaws.com/workspaces/{made}/",
            tags=account.amp.list_tags_for_resource(resourceArn=found["arn"])["tags"],
        )

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        if "alias" in new:
            account.amp.update_workspace_alias(workspaceId=made, alias=new["alias"])
        if logs := new.get("loggingConfiguration"):
            account.amp.update_logging_configuration(workspaceId=made, logGroupArn=logs["logGroupArn"])
        tags, removed = changed_tags(old, new)
        account.amp.untag_resource(resourceArn=old["arn"], tagKeys=removed)
        account.amp.tag_resource(resourceArn=old["arn"], tags=tags)

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.amp.delete_workspace(workspaceId=made)


class RuleGroupNamespace(Kind):
    token = "aws:amp/ruleGroupNamespace:RuleGroupNamespace"
    named = "name"
    computed = ("arn",)

    def create(self, account: Account, inputs: Values) -> str:
        made: str = account.amp.create_rule_groups_namespace(
            **given(
                workspaceId=inputs["workspaceId"],
                name=inputs["name"],
                data=inputs["data"].encode(),
                tags=inputs.get("tags") or None,
            )
        )["arn"]
        return made

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        workspace, name = made.split("/")[-2:]
        found = account.amp.describe_rule_groups_namespace(workspaceId=workspace, name=name)
        seen = found["ruleGroupsNamespace"]
        return {"arn": made, "workspaceId": workspace, "name": name, "data": seen["data"].decode()}

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        account.amp.put_rule_groups_namespace(
            workspaceId=new["workspaceId"], name=new["name"], data=new["data"].encode()
        )

    def delete(self, account: Account, made: str, state: Values) -> None:
        workspace, name = made.split("/")[-2:]
        account.amp.delete_rule_groups_namespace(workspaceId=workspace, name=name)


class AlertManagerDefinition(Recorded):
    token = "aws:amp/alertManagerDefinition:AlertManagerDefinition"

    def facts(self, account: Account, inputs: Values) -> tuple[str, Values]:
        account.amp.describe_workspace(workspaceId=inputs["workspaceId"])
        return inputs["workspaceId"], {}


class Scraper(Recorded):
    token = "aws:amp/scraper:Scraper"
    computed = ("arn", "roleArn")

    def facts(self, account: Account, inputs: Values) -> tuple[str, Values]:
        cluster = inputs["source"]["eks"]["clusterArn"].rpartition("/")[2]
        account.eks.describe_cluster(name=cluster)
        made = f"s-{identifier()}"
        role = "role/aws-service-role/scraper.aps.amazonaws.com/AWSServiceRoleForAmazonPrometheusScraper"
        return made, {
            "arn": account.arn("aps", f"scraper/{made}"),
            "roleArn": account.arn("iam", role).replace(account.region, ""),
        }


class Parameter(Attached):
    token = "aws:ssm/parameter:Parameter"
    identified_by = "name"
    named = "name"
    computed = ("arn", "version")

    def put(self, account: Account, inputs: Values) -> None:
        account.ssm.put_parameter(
            **given(
                Name=inputs["name"],
                Type=inputs["type"],
                Value=inputs["insecureValue"],
                Description=inputs.get("description"),
                Overwrite=True,
            )
        )
        account.ssm.add_tags_to_resource(
            ResourceType="Parameter", ResourceId=inputs["name"], Tags=tag_list(inputs.get("tags"))
        )

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        _, removed = changed_tags(old, new)
        account.ssm.remove_tags_from_resource(ResourceType="Parameter", ResourceId=made, TagKeys=removed)
        self.put(account, new)

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        found = account.ssm.get_parameter(Name=made)["Parameter"]
        listed = account.ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=made)["TagList"]
        return {
            "name": made,
            "arn": found["ARN"],
            "type": found["Type"],
            "version": found["Version"],
            "insecureValue": found["Value"],
            "tags": tags_of(listed),
        }

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.ssm.delete_parameter(Name=made)


WATCHING: tuple[Kind, ...] = (
    LogGroup(),
    MetricAlarm(),
    Dashboard(),
    Topic(),
    TopicPolicy(),
    TopicSubscription(),
    Workspace(),
    RuleGroupNamespace(),
    AlertManagerDefinition(),
    Scraper(),
    Parameter(),
)
