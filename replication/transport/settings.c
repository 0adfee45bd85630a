#include "transport/transport.h"

void transport_settings_default(struct transport_settings *settings)
{
  *settings = (struct transport_settings){
      .connections_max = 1024,
      .pending_max = 256,
      .results_max = 32,
      .results_bytes_max = 512 * 1024,
      .handshake_frame_max = 4096,
      .output_max = 8 * 1024 * 1024,
      .dial_ms = 15000,
      .handshake_ms = 15000,
      .partial_frame_ms = 60000,
      .unread_output_ms = 60000,
  };
}
