declare module "systemd-notify" {
  /** Spawns systemd-notify(1). Rejects with its words, or an error when it cannot be started. */
  export default function notify(options: {
    ready?: boolean;
    status?: string;
    pid?: number;
    booted?: boolean;
  }): Promise<unknown>;
}
