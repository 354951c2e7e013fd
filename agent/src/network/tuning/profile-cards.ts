import type { Card } from "./schema.ts";

export type ProfileCard = Pick<Card, "rings" | "channels" | "offloads"> & { drivers: readonly string[] };

/** Made from hardware-profiles/ by `npm run generate`: do not edit. Settings of cards by profile and driver. */
export const profileCards: Readonly<Record<string, readonly ProfileCard[]>> = {
  metal: [
    {
      drivers: ["e1000e", "igb", "igc"],
      rings: {
        receive: 1024,
      },
    },
    {
      drivers: ["ixgbe", "ixgbevf", "i40e", "iavf"],
      rings: {
        receive: 2048,
        send: 1024,
      },
    },
  ],
};
