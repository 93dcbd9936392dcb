// A chat as Socket.IO's guides have it: rooms, the Redis adapter, WebSocket only.
// From its "Performance tuning": the add-on `bufferutil` (found by `ws` when it is installed), no
// compression (the default), and the first HTTP request is not kept.
"use strict";

const { createServer } = require("http");
const { Server } = require("socket.io");
const { createAdapter } = require("@socket.io/redis-adapter");
const { createClient } = require("redis");

const [host, port, redis] = process.argv.slice(2);

async function main() {
  const publisher = createClient({ url: redis });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);

  const http = createServer();
  const io = new Server(http, {
    transports: ["websocket"],
    adapter: createAdapter(publisher, subscriber),
  });
  io.engine.on("connection", (socket) => {
    socket.request = null;
  });
  io.on("connection", (socket) => {
    socket.on("join", (room, answer) => {
      socket.join(room);
      answer();
    });
    socket.on("leave", (room) => socket.leave(room));
    socket.on("say", (room, text) => io.to(room).emit("m", text));
  });
  http.listen(Number(port), host, () => console.log("ready"));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
