/* init: a root with its district, a child, or the chain that a parent certified. */
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#include "admin/request.h"
#include "json.h"
#include "setup.h"

struct key_pair {
  struct node_key key;
  uint8_t secret_key[NODE_SECRET_KEY_SIZE];
};

static bool parse_address(const struct ctl *ctl, const char *option, const char *text,
                          struct address *out)
{
  if (address_parse(bytes_view_text(text), false, out) == STATUS_OK)
    return true;
  ctl_complain(ctl,
               "--%s takes an address such as 310104/012/003/05 or 310104/@police (1 to 4\n"
               "  segments of 1 to 16 of 0-9 A-Z a-z _ -, then perhaps @name), not '%s'",
               option, text);
  return false;
}

/* Makes the directory; refuses one that holds a key, because a key is never replaced. */
static enum ctl_exit prepare_directory(const struct ctl *ctl)
{
  static const char *const keys[] = {NODE_FILE_KEY, NODE_FILE_ROOT_KEY};
  char path[PATH_MAX];
  if (mkdir(ctl->directory, 0700) != 0 && errno != EEXIST) {
    ctl_complain(ctl, "making %s: %s", ctl->directory, strerror(errno));
    return CTL_REFUSED;
  }
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    if (!setup_path(ctl, keys[i], path))
      return CTL_USAGE;
    if (node_file_exists(path)) {
      ctl_complain(ctl, "%s holds a key, which init never replaces", path);
      return CTL_REFUSED;
    }
  }
  return CTL_DONE;
}

static enum ctl_exit write_key(const struct ctl *ctl, const char *name, const struct key_pair *pair)
{
  char path[PATH_MAX];
  if (!setup_path(ctl, name, path))
    return CTL_USAGE;
  enum status status = node_key_write(path, pair->secret_key);
  return status == STATUS_OK ? CTL_DONE : ctl_complain_file(ctl, "writing", path, status);
}

static void report_made(const struct ctl *ctl, const char *address, const struct node_key *key,
                        const char *next)
{
  char hex[2 * KEY_SIZE + 1];
  bytes_to_hex(bytes_view_of(key->octets, KEY_SIZE), hex);
  if (ctl->json) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "address", address);
    cJSON_AddStringToObject(json, "key", hex);
    cJSON_AddStringToObject(json, "directory", ctl->directory);
    json_print(ctl->view.out, json);
    return;
  }
  fprintf(ctl->view.out, "%s: node %s, key %s\n%s", ctl->directory, address, hex, next);
}

/* The root's certificate and the district's under it. */
static enum status sign_root(const struct ctl *ctl, const struct key_pair *root,
                             const struct key_pair *node, const struct address *district,
                             uint64_t days, struct bytes *root_octets, struct bytes *node_octets)
{
  uint64_t now = setup_not_before(ctl);
  struct certificate_draft root_draft = {
      .key = root->key,
      .epoch = 1,
      .not_before = now,
      .not_after = now + (uint64_t)SETUP_ROOT_DAYS * 86400,
  };
  struct certificate_draft node_draft = {
      .key = node->key,
      .address = *district,
      .epoch = 1,
      .not_before = now,
      .not_after = now + days * 86400,
  };
  enum status status = certificate_write(&root_draft, root->secret_key, root_octets);
  if (status == STATUS_OK)
    status = certificate_write(&node_draft, root->secret_key, node_octets);
  return status;
}

/* node.key comes last: a directory that has it is whole. */
static enum ctl_exit write_root_files(const struct ctl *ctl, const struct ctl_args *args,
                                      const struct key_pair *root, const struct key_pair *node,
                                      const struct address *district, uint64_t days)
{
  struct bytes root_octets = {0}, node_octets = {0}, chain = {0};
  enum ctl_exit code = CTL_REFUSED;
  enum status status = sign_root(ctl, root, node, district, days, &root_octets, &node_octets);
  if (status == STATUS_OK) {
    struct bytes_view both[] = {bytes_as_view(&root_octets), bytes_as_view(&node_octets)};
    status = setup_write_chain(both, 2, &chain);
  }
  if (status != STATUS_OK) {
    ctl_complain(ctl, "signing the certificates: %s", status_text(status));
    goto out;
  }
  if ((code = write_key(ctl, NODE_FILE_ROOT_KEY, root)) != CTL_DONE ||
      (code = setup_write_file(ctl, NODE_FILE_ROOT_CERTIFICATE, bytes_as_view(&root_octets),
                               false)) != CTL_DONE ||
      (code = setup_write_file(ctl, NODE_FILE_CHAIN, bytes_as_view(&chain), false)) != CTL_DONE ||
      (code = setup_write_config(ctl, args, district)) != CTL_DONE)
    goto out;
  code = write_key(ctl, NODE_FILE_KEY, node);
out:
  bytes_close(&root_octets);
  bytes_close(&node_octets);
  bytes_close(&chain);
  return code;
}

static enum ctl_exit init_root(const struct ctl *ctl, const struct ctl_args *args)
{
  struct key_pair root, node;
  struct address district;
  uint64_t days;
  if (!parse_address(ctl, "root", ctl_args_text(args, "root", ""), &district) ||
      !ctl_args_uint(ctl, args, "days", 1, SETUP_DAYS_MAX, 3653, &days))
    return CTL_USAGE;
  if (district.segments != 1 || district.unit) {
    ctl_complain(ctl, "--root takes a district's address, of one segment, not '%s'", district.text);
    return CTL_USAGE;
  }
  if (ctl_args_flag(args, "parent") || ctl_args_flag(args, "root-cert")) {
    ctl_complain(ctl, "a district has no parent; --parent and --root-cert go with --child");
    return CTL_USAGE;
  }
  enum ctl_exit code = prepare_directory(ctl);
  if (code != CTL_DONE)
    return code;
  crypto_sign_keypair(root.key.octets, root.secret_key);
  crypto_sign_keypair(node.key.octets, node.secret_key);
  code = write_root_files(ctl, args, &root, &node, &district, days);
  sodium_memzero(root.secret_key, sizeof root.secret_key);
  sodium_memzero(node.secret_key, sizeof node.secret_key);
  if (code == CTL_DONE)
    report_made(ctl, district.text, &node.key,
                "Children need root.cert. Keep root.key offline from now on: it is needed only to\n"
                "renew the district's certificate.\n");
  return code;
}

static enum ctl_exit write_child_files(const struct ctl *ctl, const struct ctl_args *args,
                                       const struct key_pair *node, const struct address *address,
                                       struct bytes_view root)
{
  struct bytes request = {0};
  enum ctl_exit code = CTL_REFUSED;
  enum status status = request_write(&node->key, node->secret_key, address, &request);
  if (status != STATUS_OK) {
    ctl_complain(ctl, "making the request: %s", status_text(status));
    goto out;
  }
  if ((code = setup_write_file(ctl, NODE_FILE_ROOT_CERTIFICATE, root, true)) != CTL_DONE ||
      (code = setup_write_file(ctl, NODE_FILE_REQUEST, bytes_as_view(&request), true)) !=
          CTL_DONE ||
      (code = setup_write_config(ctl, args, address)) != CTL_DONE)
    goto out;
  code = write_key(ctl, NODE_FILE_KEY, node);
out:
  bytes_close(&request);
  return code;
}

static enum ctl_exit init_child(const struct ctl *ctl, const struct ctl_args *args)
{
  struct bytes octets = {0};
  struct certificate root;
  struct key_pair node;
  struct address address;
  const char *root_path = ctl_args_text(args, "root-cert", NULL);
  if (!parse_address(ctl, "child", ctl_args_text(args, "child", ""), &address))
    return CTL_USAGE;
  if (root_path == NULL) {
    ctl_complain(ctl, "--child needs --root-cert FILE, the root.cert of the district");
    return CTL_USAGE;
  }
  enum ctl_exit code = setup_read_root(ctl, root_path, &octets, &root);
  if (code == CTL_DONE)
    code = prepare_directory(ctl);
  if (code != CTL_DONE)
    goto out;
  crypto_sign_keypair(node.key.octets, node.secret_key);
  code = write_child_files(ctl, args, &node, &address, bytes_as_view(&octets));
  sodium_memzero(node.secret_key, sizeof node.secret_key);
  if (code == CTL_DONE)
    report_made(ctl, address.text, &node.key,
                "Next: the parent signs the file `request` (nodectl certify), then\n"
                "nodectl init --install CHAIN puts what it signed in place.\n");
out:
  bytes_close(&octets);
  return code;
}

/* Who the directory's owner asked to be: from `request`, or from the chain where a root stands. */
static enum ctl_exit wanted_address(const struct ctl *ctl, const struct certificate *root,
                                    struct address *out)
{
  char path[PATH_MAX];
  struct bytes octets = {0};
  struct request request;
  struct setup_chain chain = {0};
  if (!setup_path(ctl, NODE_FILE_REQUEST, path))
    return CTL_USAGE;
  enum ctl_exit code = CTL_REFUSED;
  enum status status = node_file_read(path, REQUEST_BYTES_MAX, &octets);
  if (status == STATUS_OK)
    status = request_read(bytes_as_view(&octets), &request);
  if (status == STATUS_OK) {
    *out = request.address;
    code = CTL_DONE;
  } else if (status != STATUS_NOT_FOUND || !setup_path(ctl, NODE_FILE_CHAIN, path)) {
    code = ctl_complain_file(ctl, "reading", path, status);
  } else {
    code = setup_read_chain(ctl, path, root, &chain);
    if (code == CTL_DONE)
      *out = chain.certificates[chain.count - 1].address;
  }
  setup_chain_close(&chain);
  bytes_close(&octets);
  return code;
}

/* The highest (epoch, not_before) holds (DESIGN section 4), so an older one isn't put in place. */
static bool older_than_present(const struct ctl *ctl, const struct certificate *root,
                               const struct certificate *own)
{
  char path[PATH_MAX];
  struct setup_chain present = {0};
  bool older = false;
  if (setup_path(ctl, NODE_FILE_CHAIN, path) && node_file_exists(path) &&
      setup_read_chain(ctl, path, root, &present) == CTL_DONE) {
    const struct certificate *held = &present.certificates[present.count - 1];
    older = own->epoch < held->epoch ||
            (own->epoch == held->epoch && own->not_before < held->not_before);
  }
  setup_chain_close(&present);
  return older;
}

static enum ctl_exit check_chain(const struct ctl *ctl, const char *path,
                                 const struct certificate *root, const struct certificate *own)
{
  char key_path[PATH_MAX];
  uint8_t key[NODE_SECRET_KEY_SIZE];
  struct address wanted;
  if (!setup_path(ctl, NODE_FILE_KEY, key_path))
    return CTL_USAGE;
  enum status status = node_key_read(key_path, key);
  if (status != STATUS_OK)
    return ctl_complain_file(ctl, "reading", key_path, status);
  bool same_key = memcmp(key + 32, own->key.octets, KEY_SIZE) == 0;
  sodium_memzero(key, sizeof key);
  if (!same_key) {
    ctl_complain(ctl, "%s certifies another key than %s", path, key_path);
    return CTL_REFUSED;
  }
  enum ctl_exit code = wanted_address(ctl, root, &wanted);
  if (code != CTL_DONE)
    return code;
  if (!address_equal(&wanted, &own->address)) {
    ctl_complain(ctl, "%s certifies %s, but %s was asked for", path, own->address.text,
                 wanted.text);
    return CTL_REFUSED;
  }
  if (older_than_present(ctl, root, own)) {
    ctl_complain(ctl, "%s is older than the chain in place", path);
    return CTL_REFUSED;
  }
  return CTL_DONE;
}

static enum ctl_exit init_install(const struct ctl *ctl, const struct ctl_args *args)
{
  const char *path = ctl_args_text(args, "install", "");
  struct bytes root_octets = {0};
  struct certificate root;
  struct setup_chain chain = {0};
  enum ctl_exit code = setup_read_root(ctl, NULL, &root_octets, &root);
  if (code == CTL_DONE)
    code = setup_read_chain(ctl, path, &root, &chain);
  if (code == CTL_DONE)
    code = check_chain(ctl, path, &root, &chain.certificates[chain.count - 1]);
  if (code == CTL_DONE)
    code = setup_write_file(ctl, NODE_FILE_CHAIN, bytes_as_view(&chain.octets), true);
  if (code == CTL_DONE) {
    const struct certificate *own = &chain.certificates[chain.count - 1];
    report_made(ctl, own->address.text, &own->key,
                "The chain is in place; a daemon that runs takes it at its next start.\n");
  }
  setup_chain_close(&chain);
  bytes_close(&root_octets);
  return code;
}

enum ctl_exit setup_init(struct ctl *ctl, const struct ctl_args *args)
{
  bool root = ctl_args_flag(args, "root"), child = ctl_args_flag(args, "child");
  bool install = ctl_args_flag(args, "install");
  if (root + child + install != 1) {
    ctl_complain(ctl, "init takes one of --root DISTRICT, --child ADDRESS, --install CHAIN");
    return CTL_USAGE;
  }
  if (!setup_check_config(ctl, args))
    return CTL_USAGE;
  if (root)
    return init_root(ctl, args);
  return child ? init_child(ctl, args) : init_install(ctl, args);
}
