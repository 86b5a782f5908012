/** Elements without a framework, and without HTML from texts: the page's policy allows none. */

type Child = Node | string | null | undefined | false;
type Props = Readonly<Record<string, string | number | boolean | null | undefined | ((event: Event) => void)>>;

const SVG = "http://www.w3.org/2000/svg";

/** Make an element. A property is an attribute, `class` too; `onclick` and the like are listeners. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((one): one is Node | string => Boolean(one)));
  return element;
}

/** A picture of strokes on a grid of 24, hidden from assistive technology: text says the same. */
export function icon(path: string): SVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

export const ICONS = {
  check: "M5 12.5 10 17.5 19.5 7",
  cross: "M6.5 6.5 17.5 17.5 M17.5 6.5 6.5 17.5",
  back: "M9 7 4.5 11.5 9 16 M5 11.5 H13 a6 6 0 0 1 6 6 v0.5",
  clock: "M12 7 V12.5 L15.5 14.5 M12 3.5 a8.5 8.5 0 1 0 0.01 0 Z",
  arrow: "M5 12 H19 M13 6 19 12 13 18",
  out: "M10 5 H5.5 V19 H10 M14 8 18 12 14 16 M18 12 H9.5",
};

/** Say something to assistive technology, after what it is saying. */
export function announce(text: string): void {
  const region = document.getElementById("announcer");
  if (region && region.textContent !== text) region.textContent = text;
}

/** An amount in the customer's notation. The text is formatted as it is: a number would be rounded. */
export function money(amount: string, currency: string): string {
  const format = new Intl.NumberFormat("en", { style: "currency", currency });
  return format.format(amount as unknown as number);
}

/** `14:05`, or `30 Nov, 14:05` for another day. */
export function time(iso: string): string {
  const at = new Date(iso);
  const isToday = at.toDateString() === new Date().toDateString();
  const day = isToday ? {} : ({ day: "numeric", month: "short" } as const);
  return new Intl.DateTimeFormat("en-GB", { ...day, hour: "2-digit", minute: "2-digit" }).format(at);
}

export const initials = (name: string) =>
  name
    .split(/[\s-]+/)
    .slice(0, 2)
    .map((word) => word.charAt(0).toUpperCase())
    .join("");
