"""The table of paused issuances."""

from holder_app.flow_tables import FlowRow


class IssuanceRow(FlowRow, table=True):
    """One issuance between two steps."""

    __tablename__ = "wallet_issuance"
