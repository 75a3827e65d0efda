import { Button, Popover } from "@mantine/core";
import { useState } from "react";

interface ConfirmProps {
  name: string;
  /** What it does, in a sentence. */
  about: string;
  danger?: boolean;
  onConfirm: () => void;
}

/** A button that says what it does before it does it. */
export function Confirm({ name, about, danger = false, onConfirm }: ConfirmProps) {
  const [open, setOpen] = useState(false);
  return (
    <Popover opened={open} onChange={setOpen} position="bottom-end" width={260} withinPortal trapFocus returnFocus>
      <Popover.Target>
        <Button
          variant="default"
          size="compact-xs"
          onClick={() => {
            setOpen(!open);
          }}
        >
          {name}
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <div className="settings-confirm">
          <p className="small">{about}</p>
          <div className="buttons">
            <Button
              size="compact-xs"
              {...(danger ? { color: "red" } : {})}
              onClick={() => {
                setOpen(false);
                onConfirm();
              }}
            >
              {name} it
            </Button>
            <Button
              size="compact-xs"
              variant="default"
              onClick={() => {
                setOpen(false);
              }}
            >
              Keep it
            </Button>
          </div>
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}
