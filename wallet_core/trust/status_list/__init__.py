"""Token Status List (draft-ietf-oauth-status-list-20): how a credential stops being valid before it expires.

One signed, compressed array serves the status of many credentials; each credential names its list and its place in it.
"""
