/*
 * api: HTTP on loopback for monitoring: /metrics, /healthz, /readyz.
 *
 * Sockets: listens on TCP (or a Unix socket); opens master/admin, auth/admin, indexer/admin and
 * objects/get, of which it uses PING, STATUS and METRICS-FD.
 * Rights kept: its listeners, AF_UNIX sockets in its own folder. Holds no secret.
 * When a service is gone /readyz says so (503); /healthz and /metrics go on.
 */
#include "services/api/api.h"

#include "lib-common/mem.h"

static int api_start(struct service *svc, struct err *e)
{
	struct api_service *api = mem_alloc(sizeof(*api));
	const struct client_def none = {0};

	api->svc = svc;
	api->settings = service_settings(svc);
	api->master = service_connect(svc, "master/admin", &none);
	api->auth = service_connect(svc, "auth/admin", &none);
	api->indexer = service_connect(svc, "indexer/admin", &none);
	api->objects = service_connect(svc, "objects/get", &none);
	service_set_data(svc, api);
	if (api->master == NULL || api->auth == NULL || api->indexer == NULL ||
		api->objects == NULL)
		return err_set(e, ERR_PERM, "master handed down no socket for a service it needs");
	api_http_start(api);
	return 0;
}

static void api_listen(struct service *svc, const struct service_listener *l)
{
	api_http_listen(service_data(svc), l->fd);
}

static void api_reload(struct service *svc, void *new_settings)
{
	struct api_service *api = service_data(svc);

	api->settings = new_settings;
}

static const struct service_def api_service = {
	.name = "api",
	.settings = &api_settings_def,
	.rights = SANDBOX_UNIX_CLIENT,
	.start = api_start,
	.listen = api_listen,
	.reload = api_reload,
};

int main(int argc, char **argv)
{
	return service_run(&api_service, argc, argv);
}
