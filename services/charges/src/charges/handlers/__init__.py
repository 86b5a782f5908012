"""What charges does with due charges, due refunds and providers' webhooks."""

from charges.handlers.charging import Caller, on_called, plan
from charges.handlers.erasing import Eraser, on_erased
from charges.handlers.provisioning import Provisioner, on_provisioned, plan_provisions
from charges.handlers.refunding import RefundCaller, on_refund_called, plan_refunds
from charges.handlers.reports import Reports
from charges.handlers.sealing import Resealer

__all__ = [
    "Caller",
    "Eraser",
    "Provisioner",
    "RefundCaller",
    "Reports",
    "Resealer",
    "on_called",
    "on_erased",
    "on_provisioned",
    "on_refund_called",
    "plan",
    "plan_provisions",
    "plan_refunds",
]
