import { z } from "zod";

/**
 * The schema of an object with its name as first field, as the API shows it. Works for objects and for unions of objects by a
 * discriminator, which is what collections hold.
 */
export function withName(object: z.ZodType, name: z.ZodType): z.ZodType {
  if (object instanceof z.ZodObject) return nameObject(object, name);
  if (object instanceof z.ZodDiscriminatedUnion) {
    const options = object.options.map((each) => nameObject(each as z.ZodObject, name));
    const { error } = object.def;
    return z.discriminatedUnion(
      object.def.discriminator,
      options as [z.ZodObject],
      error ? { error: error as () => string } : undefined,
    );
  }
  throw new Error("a collection holds objects or unions of objects by a discriminator");
}

function nameObject(object: z.ZodObject, name: z.ZodType): z.ZodObject {
  return z.strictObject({ name, ...object.shape });
}

/** Splits what {@link withName} put together. */
export function splitName(named: Record<string, unknown>): {
  name: string | undefined;
  object: Record<string, unknown>;
} {
  const { name, ...object } = named;
  return { name: name as string | undefined, object };
}
