// The SDK of 2026-07-28; pinned to it, so that it cannot fall back to a handshake.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { drive, proxied } from "./proxied.mjs";

const [url, proxy] = process.argv.slice(2);
const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
await client.connect(new StreamableHTTPClientTransport(new URL(url), { fetch: proxied(proxy) }));
await drive(client);
await client.close();
