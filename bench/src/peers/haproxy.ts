/** A configuration for plain TCP mode with nothing that costs: no log, no checks, no statistics. */
export type ProxyService = {
  name: string;
  address: string;
  port: number;
  backends: readonly { address: string; port: number }[];
};

export function renderHaproxy(services: readonly ProxyService[], threads: number): string {
  return `global
    maxconn 10000
    nbthread ${threads}

defaults
    mode tcp
    balance roundrobin
    timeout connect 10s
    timeout client 60s
    timeout server 60s
${services.map(renderService).join("")}`;
}

function renderService({ name, address, port, backends }: ProxyService): string {
  const servers = backends.map((backend, index) => `    server b${index + 1} ${backend.address}:${backend.port}\n`);
  return `
listen ${name}
    bind ${address}:${port}
${servers.join("")}`;
}
