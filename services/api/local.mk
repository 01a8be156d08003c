# api: HTTP for monitoring
