import type { paths } from "./types.ts";

/** What the API's description says of each operation, as types: nothing here is there at run time. */

export type Method = "get" | "post" | "put" | "patch" | "delete";

/** The paths that know a method. */
export type PathOf<M extends Method> = {
  [P in keyof paths]: M extends keyof paths[P] ? (paths[P][M] extends object ? P : never) : never;
}[keyof paths];

export type OperationOf<M extends Method, P extends PathOf<M>> = M extends keyof paths[P] ? paths[P][M] : never;

type ContentOf<Part> = Part extends { content: infer Content } ? Content[keyof Content] : undefined;

/** What an operation answers when it succeeds. */
export type AnswerOf<M extends Method, P extends PathOf<M>> =
  OperationOf<M, P> extends { responses: infer Responses }
    ? ContentOf<Responses[Extract<keyof Responses, 200 | 201 | 202>]>
    : never;

export type BodyOf<M extends Method, P extends PathOf<M>> =
  OperationOf<M, P> extends { requestBody?: infer Body } ? ContentOf<NonNullable<Body>> : undefined;

type ParametersOf<M extends Method, P extends PathOf<M>> =
  OperationOf<M, P> extends { parameters: infer Parameters } ? Parameters : never;

type PathParameters<M extends Method, P extends PathOf<M>> =
  ParametersOf<M, P> extends { path: infer Values } ? Values : undefined;

type Query<M extends Method, P extends PathOf<M>> =
  ParametersOf<M, P> extends { query?: infer Values } ? NonNullable<Values> : undefined;

type Wanted<Name extends string, Value> = [Value] extends [undefined] ? object : { [N in Name]: Value };
type Offered<Name extends string, Value> = [Value] extends [undefined] ? object : { [N in Name]?: Value };

/** What a call of an operation needs: the parameters of its path, what may be asked, and its body. */
export type OptionsOf<M extends Method, P extends PathOf<M>> = Wanted<"path", PathParameters<M, P>> &
  Offered<"query", Query<M, P>> &
  Wanted<"body", BodyOf<M, P>>;

/** The member of a list. */
export type ItemOf<P extends PathOf<"get">> = AnswerOf<"get", P> extends { items: (infer Item)[] } ? Item : never;

/** The lists. */
export type ListPath = {
  [P in PathOf<"get">]: AnswerOf<"get", P> extends { items: unknown[] } ? P : never;
}[PathOf<"get">];
