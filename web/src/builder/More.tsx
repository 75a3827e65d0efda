import { Button } from "@mantine/core";

import { PlusIcon } from "../ui/icons.tsx";

/** Adds a part to the question; `about` says of what, where the label alone does not. */
export function More({ label, about, onClick }: { label: string; about?: string; onClick: () => void }) {
  return (
    <Button variant="subtle" color="gray" size="compact-xs" leftSection={<PlusIcon />} aria-label={about} onClick={onClick}>
      {label}
    </Button>
  );
}
