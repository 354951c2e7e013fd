/** `<farm>_proxy.cfg` and `<farm>_pound.cfg`: the configuration of Pound or zproxy, as the HTTP farms will want it. */

export type HttpFarmSource = {
  enabled: boolean;
  /** Directives before the first listener, such as `Timeout` and `Client`, by name. */
  settings: Record<string, string>;
  listeners: HttpListener[];
};

export type HttpListener = {
  secure: boolean;
  address: string;
  port: number | undefined;
  /** Files, as the product names them. */
  certificates: string[];
  /** Everything else of the listener, in order: `AddHeader "…"`, `Ciphers "…"`, `RewriteLocation 1`. */
  directives: string[];
  services: HttpService[];
};

export type HttpService = {
  name: string;
  url: string[];
  hosts: string[];
  session: Record<string, string> | undefined;
  /** Everything else of the service, in order: `Redirect 301 "…"`, `DynScale 1`. */
  directives: string[];
  backends: HttpBackend[];
};

export type HttpBackend = {
  address: string;
  port: number | undefined;
  secure: boolean;
  /** `Priority`, `Weight`, `TimeOut`, `ConnLimit`, … by name. */
  settings: Record<string, string>;
};

/** What a block holds while it is being read. */
type Block = { take(name: string, value: string): void; open(name: string, value: string): Block | undefined };

/**
 * Reads what is not commented out. A farm that was stopped has `#down` as its last line. Throws an Error for a file that has
 * no listener: that is no farm.
 */
export function parseProxyFile(text: string): HttpFarmSource {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const farm: HttpFarmSource = {
    enabled: !lines.some((line) => line.startsWith("#down")),
    settings: {},
    listeners: [],
  };
  const stack: Block[] = [readFarm(farm)];
  for (const line of lines) {
    if (line === "" || line.startsWith("#")) continue;
    const [, name = "", rest = ""] = /^(\S+)\s*(.*)$/.exec(line) ?? [];
    const value = rest.trim();
    const block = stack.at(-1);
    if (/^End$/i.test(name)) {
      if (stack.length > 1) stack.pop();
      continue;
    }
    const inner = block?.open(name, value);
    if (inner) stack.push(inner);
    else block?.take(name, value);
  }
  if (farm.listeners.length === 0) throw new Error("the file has no listener");
  return farm;
}

function readFarm(farm: HttpFarmSource): Block {
  return {
    take: (name, value) => {
      farm.settings[name] = unquote(value);
    },
    open: (name) => {
      if (!/^ListenHTTPS?$/i.test(name)) return undefined;
      const secure = name.toLowerCase() === "listenhttps";
      const listener: HttpListener = {
        secure,
        address: "",
        port: undefined,
        certificates: [],
        directives: [],
        services: [],
      };
      farm.listeners.push(listener);
      return readListener(listener);
    },
  };
}

function readListener(listener: HttpListener): Block {
  return {
    take: (name, value) => {
      if (name === "Address") listener.address = value;
      else if (name === "Port") listener.port = Number(value);
      else if (name === "Cert") listener.certificates.push(unquote(value).replace(/^.*\//, ""));
      else if (!/^Err\d+$|^ErrWAF$/.test(name)) listener.directives.push(`${name} ${value}`.trim());
    },
    open: (name, value) => {
      if (name !== "Service") return undefined;
      const service: HttpService = {
        name: unquote(value),
        url: [],
        hosts: [],
        session: undefined,
        directives: [],
        backends: [],
      };
      listener.services.push(service);
      return readService(service);
    },
  };
}

function readService(service: HttpService): Block {
  return {
    take: (name, value) => {
      if (name === "Url") service.url.push(unquote(value));
      else if (name === "HeadRequire") service.hosts.push(unquote(value).replace(/^Host:\s*/i, ""));
      else service.directives.push(`${name} ${value}`.trim());
    },
    open: (name) => {
      if (/^Session$/i.test(name)) {
        const session: Record<string, string> = {};
        service.session = session;
        const take = (key: string, text: string) => {
          session[key] = unquote(text);
        };
        return { take, open: () => undefined };
      }
      if (!/^(?:BackEnd|Emergency)$/i.test(name)) return undefined;
      const backend: HttpBackend = { address: "", port: undefined, secure: false, settings: {} };
      service.backends.push(backend);
      return readBackend(backend);
    },
  };
}

function readBackend(backend: HttpBackend): Block {
  return {
    take: (name, value) => {
      if (name === "Address") backend.address = value;
      else if (name === "Port") backend.port = Number(value);
      else if (/^HTTPS$/i.test(name)) backend.secure = true;
      else backend.settings[name] = unquote(value);
    },
    open: () => undefined,
  };
}

function unquote(value: string): string {
  return value.replace(/^"(.*)"$/, "$1");
}
