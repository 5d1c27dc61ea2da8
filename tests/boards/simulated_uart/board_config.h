// SPDX-License-Identifier: Apache-2.0
// A board with a management port and one stream that nobody uses.
#define BOARD_PORT_BASE 0u
#define BOARD_PORT_IRQ_RX 0u
#define BOARD_PORT_IRQ_TX 1u
#define BOARD_STREAMS 1u
#define BOARD_STREAM_TABLE {1u, 2u, 3u}
