package edition

// Rows is the table. Each row goes by the change OS pages of its cloud; what they leave out is Untold.
func Rows() []Row {
	return []Row{
		{
			// api-ecs/ecs_02_0202 and _0204, 2025-12: keyname, adminpass, mode and isAutoPay are optional rows, and there
			// is a sentence on Windows. BYOL and the status of flow control: the SDK, the error table.
			Edition: Edition{Name: "huaweicloud", NoWindows: true, RefuseOtherBYOL: true, V1NeedsLogin: true},
			Cloud:   "Huawei Cloud, international",
			Untold:  []string{"throttle_with_503"},
			domains: []string{"myhuaweicloud.com"},
		},
		{
			// The same pages under /eu/, 2025-12, without the sentence on Windows.
			Edition: Edition{Name: "huaweicloud-eu", RefuseOtherBYOL: true, V1NeedsLogin: true},
			Cloud:   "Huawei Cloud, Europe (`eu-west-101`)",
			Untold:  []string{"no_windows", "throttle_with_503"},
			domains: []string{"myhuaweicloud.eu"},
		},
		{
			// The Chinese API reference, 2024-04. Older ones demand a stopped server, this one does not.
			Edition: Edition{Name: "huaweicloud-china", RefuseOtherBYOL: true, V1NeedsLogin: true, ThrottleWith503: true},
			Cloud:   "Huawei Cloud, China (regions `cn-...`)",
			Untold:  []string{"no_windows"},
			regions: []string{"cn-"},
		},
		{
			// api-ref, 2026-07. Its table demands keyname and its first example has none. mode has no row, and the example
			// of the sibling reinstallos uses it.
			Edition: Edition{Name: "otc", StrictKeyName: true, NoAdminPass: true, StoppedOnly: true, NoMode: true, V2Only: true, NoAutoPay: true},
			Cloud:   "Open Telekom Cloud",
			domains: []string{"otc.t-systems.com"},
		},
		{
			// api-ref of the Swiss edition, 2025-04: all four operations, mode in its pages, no word on stopped servers only.
			Edition: Edition{Name: "swiss-otc", StrictKeyName: true, NoAdminPass: true, NoAutoPay: true},
			Cloud:   "Swiss OTC",
			Untold:  []string{"no_windows", "refuse_other_byol", "v1_needs_login", "throttle_with_503"},
			domains: []string{"sc.otc.t-systems.com"},
		},
		{
			// tr-central-201-api-ecs, en-us_topic_0067876971 and _0077841586.
			Edition: Edition{Name: "ankara", StrictKeyName: true, NoAdminPass: true, NoAutoPay: true, NoEncryption: true},
			Cloud:   "Ankara (`tr-central-201`)",
			Untold:  []string{"no_mode", "no_windows", "refuse_other_byol", "v1_needs_login", "throttle_with_503"},
			regions: []string{"tr-central-201"},
		},
		{
			// my-kualalumpur-1-api-ecs, the same two topics.
			Edition: Edition{Name: "kuala-lumpur", StoppedOnly: true, NoAutoPay: true},
			Cloud:   "Kuala Lumpur (`my-kualalumpur-1`)",
			Untold:  []string{"strict_key_name", "no_admin_pass", "no_mode", "no_encryption", "no_windows", "refuse_other_byol", "v1_needs_login", "throttle_with_503"},
			regions: []string{"my-kualalumpur-1"},
		},
		{
			// ae-ad-1-api-ecs, the same two topics.
			Edition: Edition{Name: "abu-dhabi", StoppedOnly: true, NoAutoPay: true},
			Cloud:   "Abu Dhabi (`ae-ad-1`)",
			Untold:  []string{"strict_key_name", "no_admin_pass", "no_mode", "no_encryption", "no_windows", "refuse_other_byol", "v1_needs_login", "throttle_with_503"},
			regions: []string{"ae-ad-1"},
		},
		{
			// eu-west-0-api-ecs, the same topics. Its page for v2 does not point to one for v1, as the others do.
			Edition: Edition{Name: "flexibleengine", StoppedOnly: true, NoAutoPay: true},
			Cloud:   "FlexibleEngine (Paris, `eu-west-0`)",
			Untold:  []string{"strict_key_name", "no_admin_pass", "no_mode", "v2_only", "no_encryption", "no_windows", "refuse_other_byol", "v1_needs_login", "throttle_with_503"},
			regions: []string{"eu-west-0"},
			domains: []string{"prod-cloud-ocb.orange-business.com"},
		},
	}
}
