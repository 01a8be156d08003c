# api: HTTP for monitoring
lm_libexec_PROGRAMS += services/api/api
services_api_api_SOURCES = \
	services/api/api.h \
	services/api/api-http.c \
	services/api/api-metrics.c \
	services/api/api-ready.c \
	services/api/api-settings.c services/api/api-settings.h \
	services/api/main.c
services_api_api_LDADD = $(COMMON_LIBS) $(EVENT_EXTRA_LIBS)
