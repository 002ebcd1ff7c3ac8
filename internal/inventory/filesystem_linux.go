package inventory

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// filesystem names the file system that f is on. The numbers are those of statfs(2) and linux/magic.h.
func filesystem(f *os.File) (string, fsClass) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return "of a kind that the system does not tell", fsNetwork
	}
	magic := uint32(st.Type) // the type of Type differs between architectures
	switch magic {
	case 0xef53:
		return "ext", fsLocal
	case 0x58465342:
		return "xfs", fsLocal
	case 0x9123683e:
		return "btrfs", fsLocal
	case 0xf2f52010:
		return "f2fs", fsLocal
	case 0x2fc12fc1:
		return "zfs", fsLocal
	case 0xca451a4e:
		return "bcachefs", fsLocal
	case 0x01021994:
		return "tmpfs", fsLocal
	case 0x858458f6:
		return "ramfs", fsLocal
	case 0x73717368:
		return "squashfs", fsLocal
	case 0xe0f5e1e2:
		return "erofs", fsLocal
	case 0x9660:
		return "iso9660", fsLocal
	case 0x15013346:
		return "udf", fsLocal
	case 0x4d44:
		return "vfat", fsLocal
	case 0x2011bab0:
		return "exfat", fsLocal
	case 0x5346544e, 0x7366746e:
		return "ntfs", fsLocal
	case 0x52654973:
		return "reiserfs", fsLocal
	case 0x3153464a:
		return "jfs", fsLocal
	case 0x482b:
		return "hfsplus", fsLocal
	case 0xf15f:
		return "ecryptfs", fsLocal
	case 0x6969:
		return "nfs", fsNetwork
	case 0x517b, 0xff534d42, 0xfe534d42:
		return "smb", fsNetwork
	case 0x01021997:
		return "9p", fsNetwork
	case 0x00c36400:
		return "ceph", fsNetwork
	case 0x65735546:
		return "fuse", fsNetwork
	case 0x5346414f:
		return "afs", fsNetwork
	case 0x0187:
		return "autofs", fsNetwork
	case 0x794c7630:
		// What it shows is in its layers, which the walk meets where they are.
		return "overlay", fsSpecial
	case 0x9fa0:
		return "proc", fsSpecial
	case 0x62656572:
		return "sysfs", fsSpecial
	case 0x1cd1, 0x27e0eb, 0x63677270, 0x74726163, 0x64626720, 0x73636673, 0x6165676c, 0xde5e81e4, 0xcafe4a11,
		0x62656570, 0x19800202, 0x958458f6, 0xf97cff8c, 0x42494e4d, 0x6e736673, 0x67596969, 0x65735543:
		// devpts, cgroup, cgroup2, tracefs, debugfs, securityfs, pstore, efivarfs, bpf, configfs, mqueue,
		// hugetlbfs, selinux, binfmt_misc, nsfs, rpc_pipefs, fusectl
		return "the kernel's own", fsSpecial
	}
	return fmt.Sprintf("unknown, type %#x", magic), fsNetwork
}

// statusTime is when the file's status changed last: its content, name, owner or mode.
func statusTime(info fs.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Ctim.Unix())
	}
	return info.ModTime()
}
