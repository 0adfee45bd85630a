/* certify: by the daemon, or offline by the root's key for its district. */
#include <sodium.h>
#include <string.h>

#include "admin/request.h"
#include "client.h"
#include "json.h"
#include "setup.h"
#include "value.h"

static enum ctl_exit write_output(const struct ctl *ctl, const struct ctl_args *args,
                                  struct bytes_view chain, char path[PATH_MAX])
{
  const char *output = ctl_args_text(args, "output", NULL);
  int size = output != NULL ? snprintf(path, PATH_MAX, "%s", output)
                            : snprintf(path, PATH_MAX, "%s.chain", args->operands[0]);
  if (size < 0 || size >= PATH_MAX) {
    ctl_complain(ctl, "the output's path is too long");
    return CTL_USAGE;
  }
  /* Certificates are public, and the child's owner may be another user. */
  enum status status = node_file_write(path, chain, 0644, true);
  return status == STATUS_OK ? CTL_DONE : ctl_complain_file(ctl, "writing", path, status);
}

static void report_certified(const struct ctl *ctl, const struct request *request, const char *path)
{
  char key[2 * KEY_SIZE + 1];
  bytes_to_hex(bytes_view_of(request->key.octets, KEY_SIZE), key);
  if (ctl->json) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "address", request->address.text);
    cJSON_AddStringToObject(json, "key", key);
    cJSON_AddStringToObject(json, "chain", path);
    json_print(ctl->view.out, json);
    return;
  }
  fprintf(ctl->view.out, "certified %s, key %s: %s\n", request->address.text, key, path);
}

static enum ctl_exit certify_by_daemon(struct ctl *ctl, const struct ctl_args *args,
                                       struct bytes_view octets, const struct request *request,
                                       uint64_t days)
{
  char path[PATH_MAX];
  struct query query;
  struct reply reply;
  query_init(&query);
  query_bin(&query, "request", octets);
  query_uint(&query, "days", days);
  enum ctl_exit code = ctl_call(ctl, "certify", &query, &reply);
  if (code == CTL_DONE)
    code = write_output(ctl, args, value_bin(value_get(reply.result, "chain")), path);
  if (code == CTL_DONE)
    report_certified(ctl, request, path);
  reply_close(&reply);
  query_close(&query);
  return code;
}

/* A renewal keeps its epoch, a replacement gets the next (DESIGN section 4). */
static enum ctl_exit check_district(const struct ctl *ctl, const struct certificate *root,
                                    const struct request *request, uint64_t *epoch)
{
  char path[PATH_MAX];
  struct setup_chain chain = {0};
  enum ctl_exit code = CTL_DONE;
  *epoch = 1;
  if (request->address.segments != 1 || request->address.unit) {
    ctl_complain(ctl, "the root certifies its district only, not %s; ask its parent",
                 request->address.text);
    return CTL_REFUSED;
  }
  if (!setup_path(ctl, NODE_FILE_CHAIN, path))
    return CTL_USAGE;
  if (!node_file_exists(path))
    return CTL_DONE;
  code = setup_read_chain(ctl, path, root, &chain);
  if (code == CTL_DONE) {
    const struct certificate *held = &chain.certificates[1];
    *epoch = held->epoch;
    if (memcmp(held->key.octets, request->key.octets, KEY_SIZE) != 0)
      *epoch += 1;
    if (!address_equal(&held->address, &request->address)) {
      ctl_complain(ctl, "the root's district is %s, not %s", held->address.text,
                   request->address.text);
      code = CTL_REFUSED;
    }
  }
  setup_chain_close(&chain);
  return code;
}

static enum ctl_exit sign_offline(const struct ctl *ctl, const struct certificate *root,
                                  const struct request *request, uint64_t epoch, uint64_t days,
                                  struct bytes *chain)
{
  char path[PATH_MAX];
  uint8_t key[NODE_SECRET_KEY_SIZE];
  struct bytes own = {0};
  if (!setup_path(ctl, NODE_FILE_ROOT_KEY, path))
    return CTL_USAGE;
  enum status status = node_key_read(path, key);
  if (status != STATUS_OK)
    return ctl_complain_file(ctl, "reading", path, status);
  enum ctl_exit code = CTL_REFUSED;
  if (memcmp(key + 32, root->key.octets, KEY_SIZE) != 0) {
    ctl_complain(ctl, "%s doesn't belong to root.cert", path);
    goto out;
  }
  struct certificate_draft draft = {
      .key = request->key,
      .address = request->address,
      .epoch = epoch,
      .not_before = setup_not_before(ctl),
      .not_after = setup_not_before(ctl) + days * 86400,
  };
  status = certificate_write(&draft, key, &own);
  if (status == STATUS_OK) {
    struct bytes_view both[] = {root->octets, bytes_as_view(&own)};
    status = setup_write_chain(both, 2, chain);
  }
  if (status == STATUS_OK)
    code = CTL_DONE;
  else
    ctl_complain(ctl, "signing: %s", status_text(status));
out:
  sodium_memzero(key, sizeof key);
  bytes_close(&own);
  return code;
}

static enum ctl_exit certify_offline(struct ctl *ctl, const struct ctl_args *args,
                                     const struct request *request, uint64_t days)
{
  char path[PATH_MAX];
  struct bytes root_octets = {0}, chain = {0};
  struct certificate root;
  uint64_t epoch = 1;
  if (client_probe(ctl)) {
    ctl_complain(ctl, "a daemon runs at %s: stop it first, or leave out --offline", ctl->url);
    return CTL_REFUSED;
  }
  enum ctl_exit code = setup_read_root(ctl, NULL, &root_octets, &root);
  if (code == CTL_DONE)
    code = check_district(ctl, &root, request, &epoch);
  if (code == CTL_DONE)
    code = sign_offline(ctl, &root, request, epoch, days, &chain);
  if (code == CTL_DONE)
    code = write_output(ctl, args, bytes_as_view(&chain), path);
  if (code == CTL_DONE)
    report_certified(ctl, request, path);
  bytes_close(&root_octets);
  bytes_close(&chain);
  return code;
}

enum ctl_exit setup_certify(struct ctl *ctl, const struct ctl_args *args)
{
  struct bytes octets = {0};
  struct request request;
  uint64_t days;
  if (!ctl_args_uint(ctl, args, "days", 1, SETUP_DAYS_MAX, 365, &days))
    return CTL_USAGE;
  enum ctl_exit code = CTL_REFUSED;
  enum status status = node_file_read(args->operands[0], REQUEST_BYTES_MAX, &octets);
  if (status == STATUS_OK)
    status = request_read(bytes_as_view(&octets), &request);
  if (status != STATUS_OK)
    ctl_complain_file(ctl, "request", args->operands[0], status);
  else if (ctl_args_flag(args, "offline"))
    code = certify_offline(ctl, args, &request, days);
  else
    code = certify_by_daemon(ctl, args, bytes_as_view(&octets), &request, days);
  bytes_close(&octets);
  return code;
}
