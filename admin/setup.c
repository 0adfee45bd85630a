#include "setup.h"

#include <string.h>

#include "record/codec.h"

static const struct ctl_option init_options[] = {
    {"root", 0, "DISTRICT", "make a root and the district's node, e.g. 310104"},
    {"child", 0, "ADDRESS", "make a node to be certified by its parent, e.g. 310104/012"},
    {"install", 0, "CHAIN", "put the chain in place that the parent certified"},
    {"root-cert", 0, "FILE", "the root certificate (with --child)"},
    {"parent", 0, "URL", "where the parent listens, e.g. tcp://10.0.0.1:7100"},
    {"listen", 0, "URL", "where children may connect; may stand several times"},
    {"days", 0, "N", "how long the district's certificate holds (default 3653)"},
    {"admin", 0, "URL", "the admin socket (default ipc://DIR/admin.sock)"},
    {"store", 0, "PATH", "where the store lies (default DIR/store)"},
    {"quota-mib", 0, "N", "the store's quota (default none)"},
    {"log-level", 0, "LEVEL", "debug, info, warn or error (default info)"},
    {"log-format", 0, "FORMAT", "logfmt or json (default logfmt)"},
    {0},
};

static const struct ctl_option certify_options[] = {
    {"output", 'o', "CHAIN", "where the chain goes (default REQUEST.chain)"},
    {"days", 0, "N", "how long the certificate holds (default 365)"},
    {"offline", 0, NULL, "sign by root.key in the directory while no daemon runs"},
    {0},
};

const struct ctl_command ctl_commands_setup[] = {
    {"init", "Setting up", "--root DISTRICT | --child ADDRESS --root-cert FILE | --install CHAIN",
     "make a node's directory",
     "nodectl --dir district init --root 310104 --listen tcp://0.0.0.0:7100\n"
     "nodectl --dir street init --child 310104/012 --root-cert district/root.cert \\\n"
     "        --parent tcp://10.0.0.1:7100 --listen tcp://0.0.0.0:7100\n"
     "nodectl --dir street init --install street/request.chain\n",
     init_options, 0, 0, setup_init},
    {"certify", "Setting up", "REQUEST [-o CHAIN] [--days N]", "sign a child's request",
     "nodectl --dir district certify street/request -o street/request.chain\n", certify_options, 1,
     1, setup_certify},
    {0},
};

bool setup_path(const struct ctl *ctl, const char *name, char path[PATH_MAX])
{
  if (node_file_path(ctl->directory, name, path) == STATUS_OK)
    return true;
  ctl_complain(ctl, "the path of %s in %s is too long", name, ctl->directory);
  return false;
}

uint64_t setup_not_before(const struct ctl *ctl)
{
  int64_t seconds = ctl->view.now_ms / 1000 - 3600;
  return seconds > 0 ? (uint64_t)seconds : 0;
}

enum ctl_exit setup_write_file(const struct ctl *ctl, const char *name, struct bytes_view octets,
                               bool replace)
{
  char path[PATH_MAX];
  if (!setup_path(ctl, name, path))
    return CTL_USAGE;
  enum status status = node_file_write(path, octets, 0600, replace);
  return status == STATUS_OK ? CTL_DONE : ctl_complain_file(ctl, "writing", path, status);
}

enum ctl_exit setup_read_root(const struct ctl *ctl, const char *path, struct bytes *octets,
                              struct certificate *root)
{
  char own[PATH_MAX];
  if (path == NULL && !setup_path(ctl, NODE_FILE_ROOT_CERTIFICATE, own))
    return CTL_USAGE;
  if (path == NULL)
    path = own;
  enum status status = node_file_read(path, CERTIFICATE_BYTES_MAX, octets);
  if (status != STATUS_OK)
    return ctl_complain_file(ctl, "reading", path, status);
  if (certificate_read(bytes_as_view(octets), root) != STATUS_OK ||
      certificate_check(root, NULL) != VERDICT_OK) {
    ctl_complain(ctl, "%s is no root certificate", path);
    return CTL_REFUSED;
  }
  return CTL_DONE;
}

void setup_chain_close(struct setup_chain *chain)
{
  bytes_close(&chain->octets);
  chain->count = 0;
}

enum ctl_exit setup_read_chain(const struct ctl *ctl, const char *path,
                               const struct certificate *root, struct setup_chain *chain)
{
  enum status status = node_file_read(path, SETUP_CHAIN_BYTES_MAX, &chain->octets);
  if (status != STATUS_OK)
    return ctl_complain_file(ctl, "reading", path, status);
  enum verdict verdict = certificate_read_chain(bytes_as_view(&chain->octets), &root->id,
                                                chain->certificates, &chain->count);
  if (verdict == VERDICT_OK && chain->count >= 2)
    return CTL_DONE;
  ctl_complain(ctl, "%s: %s", path,
               verdict == VERDICT_OK ? "the chain certifies no node" : verdict_text(verdict));
  return CTL_REFUSED;
}

enum status setup_write_chain(const struct bytes_view *certificates, size_t count,
                              struct bytes *out)
{
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, (uint32_t)count);
  for (size_t i = 0; i < count; i++)
    writer_raw(&writer, certificates[i]);
  return writer_finish(&writer);
}
