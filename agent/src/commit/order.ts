/**
 * Puts things that depend on each other in an order in which each comes after what it depends on; otherwise the order given.
 * Throws on a circle and on a name that is not there: both are mistakes in the registry.
 */
export function orderByDependency<Item extends { name: string; dependsOn: readonly string[] }>(
  items: readonly Item[],
): Item[] {
  const ordered: Item[] = [];
  const visiting = new Set<string>();
  const visit = (item: Item) => {
    if (ordered.includes(item)) return;
    if (visiting.has(item.name)) throw new Error(`${item.name} depends on itself through ${[...visiting].join(", ")}`);
    visiting.add(item.name);
    for (const name of item.dependsOn) {
      const dependency = items.find((each) => each.name === name);
      if (!dependency) throw new Error(`${item.name} depends on ${name}, which is not registered`);
      visit(dependency);
    }
    visiting.delete(item.name);
    ordered.push(item);
  };
  for (const item of items) visit(item);
  return ordered;
}
