"""Who is the citizen at the authorization endpoint: methods of login, the login session, consent."""
