"""The tenant registry: one reviewed YAML file a tenant, validated, with the place of every value.

    registry = TenantRegistry("tenants")
    tenant = registry.load("acme")
    credentials = tenant.load_credentials(os.environ)

Not here: what a mapping rule does (`netsuite_assets/mapping`).
"""

from resources.tenants.models import ReconcileSettings, ToleranceSettings
from resources.tenants.registry import (
    CertificateSecrets,
    ConsentSecrets,
    Credentials,
    EffectiveValue,
    NetSuiteCredentials,
    NetSuiteSecrets,
    TbaSecrets,
    Tenant,
    TenantRegistry,
)
from resources.tenants.rules import Group, LineRule, RecordRules, Rule, SubsidiaryRules, ValueRule, ValueTest
from resources.tenants.source import Place, Problem, TenantError, nearest, shown
from resources.tenants.systems import (
    AuthorizationCodeSettings,
    AuthSettings,
    BillingSettings,
    BillingTable,
    ClientCredentialsSettings,
    GovernanceSettings,
    NetSuiteSettings,
    TbaSettings,
)
from resources.tenants.writeback import ApprovalSettings, CircuitBreakerSettings, WritebackSettings

__all__ = [
    "ApprovalSettings",
    "AuthSettings",
    "AuthorizationCodeSettings",
    "BillingSettings",
    "BillingTable",
    "CertificateSecrets",
    "CircuitBreakerSettings",
    "ClientCredentialsSettings",
    "ConsentSecrets",
    "Credentials",
    "EffectiveValue",
    "GovernanceSettings",
    "Group",
    "LineRule",
    "NetSuiteCredentials",
    "NetSuiteSecrets",
    "NetSuiteSettings",
    "Place",
    "Problem",
    "ReconcileSettings",
    "RecordRules",
    "Rule",
    "SubsidiaryRules",
    "TbaSecrets",
    "TbaSettings",
    "Tenant",
    "TenantError",
    "TenantRegistry",
    "ToleranceSettings",
    "ValueRule",
    "ValueTest",
    "WritebackSettings",
    "nearest",
    "shown",
]
