import { Link } from "./Link.tsx";

/** Sides of one page; each has an address of its own. */
export function Tabs({ label, tabs, current }: { label: string; tabs: readonly { name: string; href: string }[]; current: string }) {
  return (
    <nav className="tabs" aria-label={label}>
      {tabs.map(({ name, href }) => (
        <Link key={name} href={href} aria-current={name === current ? "page" : undefined}>
          {name}
        </Link>
      ))}
    </nav>
  );
}
