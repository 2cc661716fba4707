// A fetch that goes through the bottle's forward proxy in absolute form, as an agent's own does.
import http from "node:http";

export function proxied(proxy) {
  const at = new URL(proxy);
  return (url, init = {}) =>
    new Promise((resolve, reject) => {
      const headers = { ...Object.fromEntries(new Headers(init.headers)), host: new URL(url).host };
      const asked = http.request(
        { host: at.hostname, port: at.port, method: init.method ?? "GET", path: String(url), headers },
        (reply) => {
          const parts = [];
          reply.on("data", (part) => parts.push(part));
          reply.on("end", () => {
            const body = [204, 304].includes(reply.statusCode) || !parts.length ? null : Buffer.concat(parts);
            resolve(new Response(body, { status: reply.statusCode, headers: reply.headers }));
          });
        },
      );
      asked.on("error", reject);
      asked.end(init.body ?? undefined);
    });
}

export async function drive(client) {
  const tools = (await client.listTools()).tools.map((tool) => tool.name);
  const call = async (name, args) => (await client.callTool({ name, arguments: args })).structuredContent;
  const listed = await call("list_routes", {});
  const asked = await call("request_access", { url: "https://new.test/x", justification: "the SDK asks" });
  const checked = await call("check_request", { ask: asked.ask, wait: 20 });
  const done = await call("report_done", { status: "done", summary: "from the SDK" });
  const wrong = await client.callTool({ name: "check_request", arguments: { ask: "no-such" } });
  console.log(JSON.stringify({ tools, listed, asked, checked, done, wrong: wrong.isError }));
}
