"""The id of the local Kafka cluster: the same for an environment, and an argument whatever it begins with."""

from __future__ import annotations

import base64

from headrace.local.kafka import _cluster_id

BEGINS_WITH_A_DASH = "budget"
"""One name in 64 does; Kafka's own tool takes such an id for an option, unless it is one argument with it."""


def test_it_is_kafkas_form_of_a_uuid_and_may_begin_with_a_dash() -> None:
    made = _cluster_id(BEGINS_WITH_A_DASH)
    assert made == _cluster_id(BEGINS_WITH_A_DASH)
    assert made.startswith("-")
    assert len(base64.urlsafe_b64decode(made + "==")) == 16
