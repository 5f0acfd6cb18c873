"""Assembles the policy pack; Pulumi's engine runs it. Serving does not return."""

from headrace_policies import RULES
from headrace_policies.serving import serve

serve(RULES)
