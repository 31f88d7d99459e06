"""The table of paused presentations."""

from holder_app.flow_tables import FlowRow


class PresentationRow(FlowRow, table=True):
    """One presentation between two steps."""

    __tablename__ = "wallet_presentation"
