"""Who is believed for what: anchors, certificate chains and certificate profiles."""
