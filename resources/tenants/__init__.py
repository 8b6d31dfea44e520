"""The tenant registry: one reviewed YAML file a tenant, validated, with the place of every value.

    registry = TenantRegistry("tenants")
    tenant = registry.load("acme")
    credentials = tenant.load_credentials(os.environ)

Not here: what a mapping rule does (`netsuite_assets/mapping`).
"""

from resources.tenants.models import (
    ApprovalSettings,
    AuthSettings,
    BillingSettings,
    BillingTable,
    CircuitBreakerSettings,
    GovernanceSettings,
    NetSuiteSettings,
    ReconcileSettings,
    RecordRules,
    Rule,
    ToleranceSettings,
    WritebackSettings,
)
from resources.tenants.registry import Credentials, EffectiveValue, Tenant, TenantRegistry
from resources.tenants.source import Place, Problem, TenantError, nearest, shown

__all__ = [
    "ApprovalSettings",
    "AuthSettings",
    "BillingSettings",
    "BillingTable",
    "CircuitBreakerSettings",
    "Credentials",
    "EffectiveValue",
    "GovernanceSettings",
    "NetSuiteSettings",
    "Place",
    "Problem",
    "ReconcileSettings",
    "RecordRules",
    "Rule",
    "Tenant",
    "TenantError",
    "TenantRegistry",
    "ToleranceSettings",
    "WritebackSettings",
    "nearest",
    "shown",
]
