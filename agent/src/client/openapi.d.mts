/** The API's description of itself, as the box serves it; a plain module, for Node 20 cannot load JSON without a warning. */
declare const document: unknown;
export default document;
