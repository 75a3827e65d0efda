import { Button } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { useAddress } from "../location.ts";
import { Link } from "../ui/Link.tsx";
import { personAddress } from "./view.ts";

interface PersonListProps<P> {
  persons: readonly P[];
  idOf: (person: P) => string;
  /** Beside the id, small. */
  hint?: (person: P) => ReactNode;
  /** What opens under a person; asked for when it is opened. */
  inside?: (person: P) => ReactNode;
  hasMore: boolean;
  loading: boolean;
  onMore: () => void;
}

/** One person, with the way to their page, which knows the way back. */
function Person({ id, hint, inside }: { id: string; hint: ReactNode; inside: (() => ReactNode) | undefined }) {
  const [open, setOpen] = useState(false);
  const href = personAddress(id, useAddress());
  const beside = <span className="person-hint small quiet tabular">{hint}</span>;
  if (inside === undefined) {
    return (
      <div className="person-head">
        <Link className="link cut" href={href} title={id}>
          {id}
        </Link>
        {beside}
      </div>
    );
  }
  return (
    <details
      onToggle={(event) => {
        setOpen(event.currentTarget.open);
      }}
    >
      <summary className="person-head">
        <span className="cut" title={id}>
          {id}
        </span>
        {beside}
      </summary>
      {open && (
        <div className="person-inside">
          <Link className="link small" href={href}>
            All events of this person
          </Link>
          {inside()}
        </div>
      )}
    </details>
  );
}

/** Persons, page after page. */
export function PersonList<P>({ persons, idOf, hint, inside, hasMore, loading, onMore }: PersonListProps<P>) {
  return (
    <>
      <ul className="persons" aria-label="Persons">
        {persons.map((person) => (
          <li key={idOf(person)}>
            <Person id={idOf(person)} hint={hint?.(person)} inside={inside === undefined ? undefined : () => inside(person)} />
          </li>
        ))}
      </ul>
      {hasMore && (
        <Button variant="default" size="xs" loading={loading} onClick={onMore}>
          Show more
        </Button>
      )}
    </>
  );
}
