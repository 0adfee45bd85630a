#include "admin/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum status mapping_open(const char *path, struct mapping *mapping)
{
  struct stat info;
  mapping->octets = (struct bytes_view){0};
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return errno == ENOENT ? STATUS_NOT_FOUND : errno == EACCES ? STATUS_NOT_ALLOWED : STATUS_IO;
  enum status status = STATUS_OK;
  if (fstat(fd, &info) != 0) {
    status = STATUS_IO;
  } else if (!S_ISREG(info.st_mode)) {
    status = STATUS_INVALID_ARGUMENT;
  } else if (info.st_size > 0) {
    void *octets = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (octets == MAP_FAILED)
      status = STATUS_IO;
    else
      mapping->octets = bytes_view_of(octets, (size_t)info.st_size);
  }
  close(fd);
  return status;
}

void mapping_close(struct mapping *mapping)
{
  if (mapping->octets.size > 0) {
    union {
      const void *read;
      void *write;
    } octets = {mapping->octets.data};
    munmap(octets.write, mapping->octets.size);
  }
  mapping->octets = (struct bytes_view){0};
}
