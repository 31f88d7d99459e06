"""ISO/IEC 18013-5, device retrieval: engagement, session, request and response, as machines that bytes drive."""
