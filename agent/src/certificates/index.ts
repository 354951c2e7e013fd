import { defineSubsystem } from "../commit/subsystem.ts";
import { verifyCertificates } from "./verify.ts";

/** Certificates and keys. They give the machine nothing by themselves: whoever uses one takes it from the configuration. */
export const certificates = defineSubsystem<null, never>({
  name: "certificates",
  dependsOn: [],
  verify: verifyCertificates,
  render: () => null,
  observe: async () => null,
  plan: () => [],
  executors: {},
});
