package inventory

import "golang.org/x/sys/windows"

// LocalDrive reports whether there is a drive of that name ("C:\") that is no network's.
func LocalDrive(name string) bool {
	p, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return false
	}
	switch windows.GetDriveType(p) {
	case windows.DRIVE_FIXED, windows.DRIVE_REMOVABLE, windows.DRIVE_RAMDISK:
		return true
	}
	return false
}
