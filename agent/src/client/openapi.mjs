/** Made from the API's OpenAPI document by `npm run generate`: do not edit. */

export default {
 "openapi": "3.1.0",
 "info": {
  "title": "Steelyard",
  "description": "The management API of a Steelyard appliance: every object by noun and verb, every change checked, attributable and reversible.",
  "version": "0.0.0",
  "license": {
   "name": "Apache-2.0",
   "identifier": "Apache-2.0"
  }
 },
 "components": {
  "securitySchemes": {
   "session": {
    "type": "http",
    "scheme": "bearer",
    "description": "The token of POST /api/v1/sessions"
   }
  },
  "schemas": {
   "BindingsInput": {
    "type": "object",
    "properties": {
     "farms": {
      "description": "Names of farms; * stands for any characters",
      "maxItems": 256,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9_.*-]{1,63}$"
      }
     },
     "interfaces": {
      "description": "Names of interfaces; * stands for any characters",
      "maxItems": 256,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9_.*-]{1,63}$"
      }
     },
     "certificates": {
      "description": "Names of certificates; * stands for any characters",
      "maxItems": 256,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9_.*-]{1,63}$"
      }
     }
    },
    "additionalProperties": false,
    "examples": [
     {
      "farms": [
       "web",
       "shop-*"
      ]
     }
    ]
   },
   "AccessSettingsInput": {
    "type": "object",
    "properties": {
     "sessions": {
      "description": "Limits of every session, those that are open too",
      "default": {},
      "type": "object",
      "properties": {
       "idleMinutes": {
        "default": 30,
        "description": "A session ends after this time without a request",
        "type": "integer",
        "minimum": 1,
        "maximum": 1440
       },
       "absoluteMinutes": {
        "default": 720,
        "description": "A session ends after this time at the latest",
        "type": "integer",
        "minimum": 5,
        "maximum": 43200
       }
      },
      "additionalProperties": false
     },
     "secondFactor": {
      "description": "Of whom a second factor is required; others may have one",
      "default": {},
      "type": "object",
      "properties": {
       "roles": {
        "default": [],
        "description": "Whoever holds one of these needs a second factor",
        "maxItems": 64,
        "type": "array",
        "items": {
         "type": "string",
         "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
         "examples": [
          "web"
         ]
        }
       }
      },
      "additionalProperties": false
     }
    },
    "additionalProperties": false
   },
   "CertificateInput": {
    "type": "object",
    "properties": {
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "certificate": {
      "description": "PEM: the server's certificate, then each authority that signed the one before; none while a request awaits its answer",
      "type": "string",
      "maxLength": 65536,
      "examples": [
       "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n"
      ]
     },
     "key": {
      "description": "PEM, without a passphrase: RSA of 2048 bits or more, ECDSA (P-256, P-384, P-521) or Ed25519",
      "type": "string",
      "maxLength": 16384,
      "examples": [
       "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49Ag==\n-----END PRIVATE KEY-----\n"
      ]
     },
     "request": {
      "description": "PEM (PKCS #10), for keys made on the box: what the authority signs",
      "type": "string",
      "maxLength": 16384,
      "examples": [
       "-----BEGIN CERTIFICATE REQUEST-----\nMIHeMIGFAgEAMBQxEjAQBg==\n-----END CERTIFICATE REQUEST-----\n"
      ]
     }
    },
    "required": [
     "key"
    ],
    "additionalProperties": false
   },
   "GroupRolesInput": {
    "type": "object",
    "properties": {
     "group": {
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "DN of the group"
     },
     "roles": {
      "minItems": 1,
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      },
      "description": "Held by its members"
     }
    },
    "required": [
     "group",
     "roles"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "group": "cn=network,ou=groups,dc=example,dc=com",
      "roles": [
       "operator"
      ]
     }
    ]
   },
   "BackupScheduleInput": {
    "type": "object",
    "properties": {
     "enabled": {
      "default": false,
      "description": "Make backups by the clock",
      "type": "boolean"
     },
     "time": {
      "default": "03:00",
      "description": "Time of day, in UTC; one that was missed while the box was off is made up for",
      "examples": [
       "03:00"
      ],
      "type": "string",
      "pattern": "^(?:[01]\\d|2[0-3]):[0-5]\\d$"
     },
     "days": {
      "default": [],
      "description": "Days of the week; none: every day",
      "maxItems": 7,
      "type": "array",
      "items": {
       "type": "string",
       "enum": [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday"
       ]
      }
     },
     "keep": {
      "default": 7,
      "description": "How many of them are kept; those made by hand are not counted, and stay",
      "type": "integer",
      "minimum": 1,
      "maximum": 100
     },
     "recipients": {
      "default": [],
      "maxItems": 8,
      "type": "array",
      "items": {
       "type": "string",
       "examples": [
        "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
       ]
      },
      "description": "Public keys of age (age1…) the backup is encrypted for; the secret key of any of them opens it"
     },
     "identity": {
      "default": true,
      "description": "With the certificate and key of the API and the host keys of SSH",
      "type": "boolean"
     },
     "history": {
      "default": false,
      "description": "With the generations of before, to look up",
      "type": "boolean"
     }
    },
    "additionalProperties": false,
    "examples": [
     {
      "enabled": true,
      "time": "03:00",
      "days": [
       "sunday"
      ],
      "keep": 7,
      "recipients": [
       "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
      ],
      "identity": true,
      "history": false
     }
    ]
   },
   "L4BackendInput": {
    "type": "object",
    "properties": {
     "address": {
      "description": "Address of the server; of the same family as the virtual addresses",
      "type": "string",
      "examples": [
       "192.0.2.10"
      ]
     },
     "port": {
      "description": "Port on the server; left out, the port the client asked for",
      "type": "integer",
      "minimum": 1,
      "maximum": 65535,
      "examples": [
       80
      ]
     },
     "weight": {
      "default": 1,
      "description": "Share of new connections, next to the weights of the other backends",
      "type": "integer",
      "minimum": 1,
      "maximum": 255
     },
     "priority": {
      "default": 1,
      "description": "1 is used first; for each backend in use that is not up, the next priority is used as well",
      "type": "integer",
      "minimum": 1,
      "maximum": 9
     },
     "state": {
      "default": "up",
      "description": "up: takes connections; maintenance: keeps the ones it has, gets no new one; down: loses them all",
      "type": "string",
      "enum": [
       "up",
       "maintenance",
       "down"
      ]
     }
    },
    "required": [
     "address"
    ],
    "additionalProperties": false
   },
   "L4FarmInput": {
    "type": "object",
    "properties": {
     "profile": {
      "type": "string",
      "const": "l4xnat",
      "description": "Kind of farm"
     },
     "enabled": {
      "default": true,
      "description": "A farm that is not enabled opens no port",
      "type": "boolean"
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "virtualAddresses": {
      "minItems": 1,
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "examples": [
        "192.0.2.10"
       ]
      },
      "description": "Addresses clients connect to, all of one family; the box must own them"
     },
     "ports": {
      "minItems": 1,
      "maxItems": 64,
      "type": "array",
      "items": {
       "anyOf": [
        {
         "type": "integer",
         "minimum": 1,
         "maximum": 65535,
         "examples": [
          80
         ]
        },
        {
         "type": "string"
        }
       ],
       "examples": [
        "80",
        "8000-8010"
       ]
      },
      "description": "Ports and ranges of ports clients connect to"
     },
     "protocol": {
      "default": "tcp",
      "description": "Protocol of layer 4",
      "type": "string",
      "enum": [
       "tcp",
       "udp"
      ]
     },
     "natType": {
      "default": "nat",
      "description": "nat: backends see the box's address; dnat: they see the client's, and must route back through the box",
      "type": "string",
      "enum": [
       "nat",
       "dnat"
      ]
     },
     "algorithm": {
      "default": "weight",
      "description": "How a new connection is given a backend",
      "type": "string",
      "enum": [
       "weight",
       "round-robin",
       "hash-source-address",
       "hash-source-address-port"
      ]
     },
     "backends": {
      "description": "Backends by name",
      "type": "object",
      "propertyNames": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      },
      "additionalProperties": {
       "$ref": "#/components/schemas/L4BackendInput"
      },
      "default": {}
     }
    },
    "required": [
     "profile",
     "virtualAddresses",
     "ports"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "profile": "l4xnat",
      "virtualAddresses": [
       "192.0.2.10"
      ],
      "ports": [
       "80"
      ],
      "backends": {
       "b1": {
        "address": "198.51.100.1",
        "port": 80
       },
       "b2": {
        "address": "198.51.100.2",
        "port": 80,
        "weight": 3
       }
      }
     }
    ]
   },
   "MemberPatternInput": {
    "type": "object",
    "properties": {
     "name": {
      "description": "Name, with * for any characters and ? for one",
      "type": "string",
      "pattern": "^[a-zA-Z0-9_.*?-]{1,15}$"
     },
     "driver": {
      "description": "Kernel driver",
      "type": "string",
      "pattern": "^[a-z0-9_-]{1,32}$"
     },
     "speed": {
      "description": "Mbit/s; a card without carrier has none, and stays a member if it is one",
      "type": "integer",
      "minimum": 10
     },
     "bus": {
      "description": "Place on the bus, with * and ?",
      "type": "string",
      "pattern": "^[0-9a-zA-Z:.*?-]{1,32}$"
     },
     "macPrefix": {
      "description": "First bytes of the permanent MAC address",
      "type": "string",
      "pattern": "^[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){0,5}$"
     }
    },
    "additionalProperties": false,
    "examples": [
     {
      "driver": "ixgbe",
      "bus": "0000:3b:00.*"
     }
    ]
   },
   "MiiMonitoringInput": {
    "type": "object",
    "properties": {
     "interval": {
      "default": 100,
      "description": "Milliseconds between two looks at the carrier",
      "type": "integer",
      "minimum": 10,
      "maximum": 10000
     },
     "upDelay": {
      "default": 0,
      "description": "Milliseconds of carrier before a member is used",
      "type": "integer",
      "minimum": 0,
      "maximum": 60000
     },
     "downDelay": {
      "default": 0,
      "description": "Milliseconds without carrier before a member is not used",
      "type": "integer",
      "minimum": 0,
      "maximum": 60000
     }
    },
    "additionalProperties": false,
    "examples": [
     {
      "interval": 100,
      "upDelay": 200,
      "downDelay": 0
     }
    ]
   },
   "ArpMonitoringInput": {
    "type": "object",
    "properties": {
     "interval": {
      "default": 1000,
      "description": "Milliseconds between two ARP requests",
      "type": "integer",
      "minimum": 50,
      "maximum": 60000
     },
     "targets": {
      "description": "IPv4 addresses that are asked, such as the gateway",
      "maxItems": 16,
      "type": "array",
      "items": {
       "type": "string",
       "examples": [
        "192.0.2.10"
       ]
      },
      "default": []
     },
     "validate": {
      "default": "none",
      "description": "Members whose ARP traffic must be an answer to count",
      "type": "string",
      "enum": [
       "none",
       "active",
       "backup",
       "all"
      ]
     },
     "allTargets": {
      "default": false,
      "description": "A member needs an answer of every target",
      "type": "boolean"
     }
    },
    "additionalProperties": false,
    "examples": [
     {
      "interval": 500,
      "targets": [
       "192.0.2.1"
      ],
      "validate": "all"
     }
    ]
   },
   "BondInput": {
    "type": "object",
    "properties": {
     "mode": {
      "default": "active-backup",
      "description": "How traffic is shared; active-backup needs nothing of the switch, 802.3ad is LACP",
      "type": "string",
      "enum": [
       "balance-rr",
       "active-backup",
       "balance-xor",
       "broadcast",
       "802.3ad",
       "balance-tlb",
       "balance-alb"
      ]
     },
     "members": {
      "default": [],
      "description": "Interfaces that belong to it; they need no settings of their own",
      "maxItems": 32,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
       "examples": [
        "nic0"
       ]
      }
     },
     "memberPattern": {
      "description": "Beside members: every card of this machine that fits",
      "$ref": "#/components/schemas/MemberPatternInput"
     },
     "monitor": {
      "default": "mii",
      "description": "How it is found out whether a member works: by carrier or by ARP",
      "type": "string",
      "enum": [
       "mii",
       "arp"
      ]
     },
     "mii": {
      "default": {
       "interval": 100,
       "upDelay": 0,
       "downDelay": 0
      },
      "description": "Monitoring by carrier",
      "$ref": "#/components/schemas/MiiMonitoringInput"
     },
     "arp": {
      "description": "Monitoring by ARP",
      "$ref": "#/components/schemas/ArpMonitoringInput",
      "default": {
       "interval": 1000,
       "targets": [],
       "validate": "none",
       "allTargets": false
      }
     },
     "minLinks": {
      "default": 0,
      "description": "Members that must work before the bond has carrier; 802.3ad",
      "type": "integer",
      "minimum": 0,
      "maximum": 32
     },
     "transmitHashPolicy": {
      "default": "layer2",
      "description": "What chooses the member a packet leaves by; balance-xor, 802.3ad and balance-tlb",
      "type": "string",
      "enum": [
       "layer2",
       "layer2+3",
       "layer3+4",
       "encap2+3",
       "encap3+4",
       "vlan+srcmac"
      ]
     },
     "lacpRate": {
      "default": "slow",
      "description": "The partner sends a LACPDU each 30 s (slow) or each second (fast); 802.3ad",
      "type": "string",
      "enum": [
       "slow",
       "fast"
      ]
     },
     "aggregatorSelect": {
      "default": "stable",
      "description": "Which group of members is used when there are several; 802.3ad",
      "type": "string",
      "enum": [
       "stable",
       "bandwidth",
       "count"
      ]
     },
     "primary": {
      "description": "The member that is preferred; active-backup, balance-tlb and balance-alb",
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ]
     },
     "primaryReselect": {
      "default": "always",
      "description": "When the primary takes over again: always, when it is faster, or when the active member fails",
      "type": "string",
      "enum": [
       "always",
       "better",
       "failure"
      ]
     },
     "failOverMac": {
      "default": "none",
      "description": "Whether members keep their own MAC addresses; active-backup",
      "type": "string",
      "enum": [
       "none",
       "active",
       "follow"
      ]
     },
     "gratuitousCount": {
      "default": 1,
      "description": "Gratuitous ARPs and unsolicited neighbour advertisements after a failover; active-backup, balance-tlb and balance-alb",
      "type": "integer",
      "minimum": 0,
      "maximum": 255
     }
    },
    "additionalProperties": false,
    "examples": [
     {
      "mode": "802.3ad",
      "members": [
       "nic0",
       "nic1"
      ],
      "lacpRate": "fast",
      "transmitHashPolicy": "layer3+4"
     }
    ]
   },
   "VlanInput": {
    "type": "object",
    "properties": {
     "parent": {
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ],
      "description": "The interface that carries the tagged frames"
     },
     "id": {
      "type": "integer",
      "minimum": 1,
      "maximum": 4094,
      "description": "VLAN id"
     },
     "protocol": {
      "default": "802.1Q",
      "description": "Kind of tag; 802.1ad is the outer tag of a provider (QinQ)",
      "type": "string",
      "enum": [
       "802.1Q",
       "802.1ad"
      ]
     }
    },
    "required": [
     "parent",
     "id"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "parent": "nic0",
      "id": 100,
      "protocol": "802.1Q"
     }
    ]
   },
   "BridgeInput": {
    "type": "object",
    "properties": {
     "members": {
      "default": [],
      "description": "Interfaces that belong to it; they need no settings of their own",
      "maxItems": 32,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
       "examples": [
        "nic0"
       ]
      }
     },
     "stp": {
      "default": false,
      "description": "Spanning tree (IEEE 802.1D)",
      "type": "boolean"
     }
    },
    "additionalProperties": false,
    "examples": [
     {
      "members": [
       "nic2",
       "nic3"
      ],
      "stp": true
     }
    ]
   },
   "Ipv4SettingsInput": {
    "type": "object",
    "properties": {
     "method": {
      "default": "none",
      "description": "Where the addresses come from",
      "type": "string",
      "enum": [
       "none",
       "dhcp",
       "static"
      ]
     },
     "addresses": {
      "description": "For method static; the first of a network is the source of what the box sends there",
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "examples": [
        "192.0.2.10/24"
       ]
      },
      "default": []
     },
     "gateway": {
      "description": "Default gateway reached through this interface",
      "type": "string",
      "examples": [
       "192.0.2.10"
      ]
     },
     "defaultRoute": {
      "description": "Left out: true. false: the gateway serves answers to what came in by this interface, and is not the box's default gateway",
      "type": "boolean"
     }
    },
    "additionalProperties": false
   },
   "Ipv6SettingsInput": {
    "type": "object",
    "properties": {
     "method": {
      "default": "none",
      "description": "Where the addresses come from; automatic: router advertisements and DHCPv6; slaac, dhcp: one of them",
      "type": "string",
      "enum": [
       "none",
       "automatic",
       "slaac",
       "dhcp",
       "static"
      ]
     },
     "addresses": {
      "description": "For method static; the first of a network is the source of what the box sends there",
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "examples": [
        "192.0.2.10/24"
       ]
      },
      "default": []
     },
     "gateway": {
      "description": "Default gateway reached through this interface",
      "type": "string",
      "examples": [
       "192.0.2.10"
      ]
     },
     "defaultRoute": {
      "description": "Left out: true. false: the gateway serves answers to what came in by this interface, and is not the box's default gateway",
      "type": "boolean"
     }
    },
    "additionalProperties": false,
    "description": "The gateway comes with router advertisements, unless the method is static"
   },
   "InterfaceInput": {
    "type": "object",
    "properties": {
     "kind": {
      "default": "ethernet",
      "description": "ethernet: a network card; the others are made by the box",
      "type": "string",
      "enum": [
       "ethernet",
       "bond",
       "vlan",
       "bridge",
       "dummy"
      ]
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "alias": {
      "default": "",
      "description": "A name for people, which the kernel keeps with the interface (ifAlias)",
      "type": "string",
      "pattern": "^[\\x20-\\x7e]{0,64}$"
     },
     "enabled": {
      "default": true,
      "description": "Administratively up",
      "type": "boolean"
     },
     "mtu": {
      "description": "Bytes; left out, the driver's own",
      "type": "integer",
      "minimum": 1280,
      "maximum": 65535
     },
     "bond": {
      "description": "Of kind bond",
      "$ref": "#/components/schemas/BondInput"
     },
     "vlan": {
      "description": "Of kind vlan",
      "$ref": "#/components/schemas/VlanInput"
     },
     "bridge": {
      "description": "Of kind bridge",
      "$ref": "#/components/schemas/BridgeInput"
     },
     "ipv4": {
      "description": "IPv4 on this interface",
      "$ref": "#/components/schemas/Ipv4SettingsInput",
      "default": {
       "method": "none",
       "addresses": []
      }
     },
     "ipv6": {
      "description": "IPv6 on this interface",
      "$ref": "#/components/schemas/Ipv6SettingsInput",
      "default": {
       "method": "none",
       "addresses": []
      }
     }
    },
    "additionalProperties": false,
    "examples": [
     {
      "kind": "ethernet",
      "description": "to the servers",
      "enabled": true,
      "mtu": 1500,
      "ipv4": {
       "method": "static",
       "addresses": [
        "192.0.2.5/24"
       ],
       "gateway": "192.0.2.1"
      },
      "ipv6": {
       "method": "none",
       "addresses": []
      }
     }
    ]
   },
   "VirtualAddressInput": {
    "type": "object",
    "properties": {
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "enabled": {
      "default": true,
      "description": "false: the address is not on the box",
      "type": "boolean"
     },
     "interface": {
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ],
      "description": "Interface the address is put on"
     },
     "address": {
      "description": "The address with its prefix length",
      "type": "string",
      "examples": [
       "192.0.2.10/24"
      ]
     }
    },
    "required": [
     "interface",
     "address"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "description": "",
      "enabled": true,
      "interface": "nic0",
      "address": "192.0.2.10/24"
     }
    ]
   },
   "NtpServerInput": {
    "type": "object",
    "properties": {
     "address": {
      "anyOf": [
       {
        "type": "string",
        "examples": [
         "192.0.2.10"
        ]
       },
       {
        "type": "string",
        "maxLength": 253,
        "pattern": "^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
        "examples": [
         "lb1.example.com"
        ]
       }
      ],
      "description": "Address or name"
     },
     "port": {
      "description": "UDP port of NTP; left out, 123, or what NTS negotiates",
      "type": "integer",
      "minimum": 1,
      "maximum": 65535,
      "examples": [
       80
      ]
     },
     "nts": {
      "default": false,
      "description": "Authenticate it by Network Time Security (RFC 8915); it must be given by name, as in its certificate",
      "type": "boolean"
     },
     "prefer": {
      "default": false,
      "description": "Before those that are as good",
      "type": "boolean"
     }
    },
    "required": [
     "address"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "address": "time.example.com",
      "nts": true,
      "prefer": false
     }
    ]
   },
   "HostsEntryInput": {
    "type": "object",
    "properties": {
     "address": {
      "description": "What the names stand for",
      "type": "string",
      "examples": [
       "192.0.2.10"
      ]
     },
     "names": {
      "minItems": 1,
      "maxItems": 16,
      "type": "array",
      "items": {
       "type": "string",
       "maxLength": 253,
       "pattern": "^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
       "examples": [
        "lb1.example.com"
       ]
      },
      "description": "The first one is the canonical name"
     }
    },
    "required": [
     "address",
     "names"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "address": "192.0.2.80",
      "names": [
       "files.example.com",
       "files"
      ]
     }
    ]
   },
   "ProxySettingsInput": {
    "type": "object",
    "properties": {
     "url": {
      "description": "HTTP proxy (CONNECT for HTTPS); left out, servers are asked directly",
      "type": "string"
     },
     "bypass": {
      "default": [],
      "description": "Asked directly: domains with all below them, addresses, networks; loopback always is",
      "maxItems": 32,
      "type": "array",
      "items": {
       "type": "string",
       "maxLength": 253,
       "pattern": "^[A-Za-z0-9.:_-]+(?:\\/\\d{1,3})?$"
      }
     }
    },
    "additionalProperties": false
   },
   "SystemInput": {
    "type": "object",
    "properties": {
     "hostname": {
      "default": "steelyard",
      "description": "Name of the box, alone or with its domain",
      "type": "string",
      "maxLength": 253,
      "pattern": "^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
      "examples": [
       "lb1.example.com"
      ]
     },
     "dns": {
      "description": "Resolvers; DHCP may add its own",
      "type": "object",
      "properties": {
       "servers": {
        "description": "Resolvers, asked in this order: address, or address#name with the name in its TLS certificate",
        "maxItems": 8,
        "type": "array",
        "items": {
         "type": "string",
         "examples": [
          "192.0.2.53"
         ]
        },
        "default": []
       },
       "search": {
        "default": [],
        "description": "Domains tried with names that have none",
        "maxItems": 8,
        "type": "array",
        "items": {
         "type": "string",
         "maxLength": 253,
         "pattern": "^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
         "examples": [
          "lb1.example.com"
         ]
        }
       },
       "dnssec": {
        "default": "no",
        "description": "Check signatures: not; where the resolver can (an attacker may say that it cannot); always",
        "type": "string",
        "enum": [
         "no",
         "allow-downgrade",
         "yes"
        ]
       },
       "overTls": {
        "default": "no",
        "description": "Ask over TLS (RFC 7858): not; where the resolver can, unchecked; always, with its certificate",
        "type": "string",
        "enum": [
         "no",
         "opportunistic",
         "yes"
        ]
       }
      },
      "additionalProperties": false,
      "default": {
       "servers": [],
       "search": [],
       "dnssec": "no",
       "overTls": "no"
      }
     },
     "ntp": {
      "description": "Time servers; none: the clock is not set from the network",
      "type": "object",
      "properties": {
       "servers": {
        "description": "Addresses or names of NTP servers, or objects of them with nts and prefer",
        "maxItems": 8,
        "type": "array",
        "items": {
         "anyOf": [
          {
           "type": "string",
           "maxLength": 253,
           "pattern": "^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
           "examples": [
            "lb1.example.com"
           ]
          },
          {
           "$ref": "#/components/schemas/NtpServerInput"
          }
         ]
        },
        "default": []
       }
      },
      "additionalProperties": false,
      "default": {
       "servers": []
      }
     },
     "timeZone": {
      "default": "UTC",
      "description": "Of logs and shells on the box; the API speaks UTC",
      "type": "string",
      "examples": [
       "Europe/Berlin"
      ]
     },
     "hosts": {
      "description": "Names the box knows without DNS, as in hosts(5)",
      "maxItems": 256,
      "type": "array",
      "items": {
       "$ref": "#/components/schemas/HostsEntryInput"
      },
      "default": []
     },
     "proxy": {
      "default": {
       "bypass": []
      },
      "description": "How the box itself reaches web servers; farms are not affected",
      "$ref": "#/components/schemas/ProxySettingsInput"
     },
     "management": {
      "default": {
       "interfaces": [],
       "port": 444
      },
      "description": "Where the box is managed",
      "type": "object",
      "properties": {
       "interfaces": {
        "default": [],
        "description": "Interfaces on which the API and SSH answer; on all others they are closed",
        "maxItems": 64,
        "type": "array",
        "items": {
         "type": "string",
         "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
         "examples": [
          "nic0"
         ]
        }
       },
       "port": {
        "default": 444,
        "description": "Port of the API and the web console",
        "type": "integer",
        "minimum": 1,
        "maximum": 65535,
        "examples": [
         80
        ]
       },
       "certificate": {
        "description": "Name of the certificate that the API shows; none: one the box has made and signed itself",
        "type": "string",
        "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
        "examples": [
         "web"
        ]
       }
      },
      "additionalProperties": false
     },
     "console": {
      "default": {
       "passwordReset": true
      },
      "description": "VGA and serial console of the box",
      "type": "object",
      "properties": {
       "passwordReset": {
        "default": true,
        "description": "Whoever is at the console may set a new administrator's password in the first minutes after a start",
        "type": "boolean"
       }
      },
      "additionalProperties": false
     },
     "ssh": {
      "default": {
       "enabled": false,
       "port": 22,
       "passwordAuthentication": false
      },
      "description": "The shell of administrators",
      "type": "object",
      "properties": {
       "enabled": {
        "default": false,
        "description": "SSH answers on the management interfaces",
        "type": "boolean"
       },
       "port": {
        "default": 22,
        "description": "TCP port",
        "type": "integer",
        "minimum": 1,
        "maximum": 65535,
        "examples": [
         80
        ]
       },
       "passwordAuthentication": {
        "default": false,
        "description": "Keys alone when false",
        "type": "boolean"
       }
      },
      "additionalProperties": false
     }
    },
    "additionalProperties": false,
    "examples": [
     {
      "hostname": "lb1.example.com",
      "dns": {
       "servers": [
        "192.0.2.53"
       ],
       "search": [
        "example.com"
       ],
       "dnssec": "no",
       "overTls": "no"
      },
      "ntp": {
       "servers": [
        "192.0.2.123",
        {
         "address": "time.example.com",
         "nts": true,
         "prefer": false
        }
       ]
      },
      "timeZone": "Europe/Berlin",
      "hosts": [
       {
        "address": "192.0.2.80",
        "names": [
         "files.example.com"
        ]
       }
      ],
      "proxy": {
       "url": "http://proxy.example.com:3128",
       "bypass": [
        "example.com"
       ]
      },
      "management": {
       "interfaces": [
        "nic0"
       ],
       "port": 444
      },
      "console": {
       "passwordReset": true
      },
      "ssh": {
       "enabled": true,
       "port": 22,
       "passwordAuthentication": false
      }
     }
    ]
   },
   "MergePatchInput": {
    "type": "object",
    "properties": {},
    "additionalProperties": {},
    "description": "The fields to change; null takes a field back to its default"
   },
   "DirectoryCredentialsInput": {
    "type": "object",
    "properties": {
     "user": {
      "type": "string",
      "minLength": 1,
      "maxLength": 64,
      "description": "Who"
     },
     "password": {
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "description": "Used for this test and kept nowhere"
     }
    },
    "required": [
     "user",
     "password"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "user": "anna",
      "password": "correct horse battery"
     }
    ]
   },
   "NewApiKeyInput": {
    "type": "object",
    "properties": {
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "owner": {
      "description": "Left out, the caller; another takes access:create",
      "type": "string",
      "pattern": "^[a-z][a-z0-9_-]{0,31}$",
      "examples": [
       "anna"
      ]
     },
     "roles": {
      "minItems": 1,
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      },
      "description": "What it may do"
     },
     "networks": {
      "description": "Only from these networks, such as 192.0.2.0/24; none: from anywhere",
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "examples": [
        "192.0.2.10/24"
       ]
      },
      "default": []
     },
     "expires": {
      "description": "When it ends",
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"
     }
    },
    "required": [
     "roles"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "description": "nightly report",
      "roles": [
       "read-only"
      ],
      "networks": [
       "192.0.2.0/24"
      ]
     }
    ]
   },
   "PasswordChangeInput": {
    "type": "object",
    "properties": {
     "current": {
      "type": "string",
      "maxLength": 1024,
      "description": "The password of now"
     },
     "password": {
      "type": "string",
      "maxLength": 1024,
      "description": "The new one"
     }
    },
    "required": [
     "current",
     "password"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "current": "correct horse battery",
      "password": "a better one than that"
     }
    ]
   },
   "OwnSshKeysInput": {
    "type": "object",
    "properties": {
     "sshKeys": {
      "default": [],
      "description": "For the shell of the box; needs the permission shell:use",
      "maxItems": 32,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh\\.com|sk-ecdsa-sha2-nistp256@openssh\\.com) [A-Za-z0-9+/]+={0,3}(?: [^\\r\\n]*)?$"
      }
     }
    },
    "additionalProperties": false,
    "examples": [
     {
      "sshKeys": [
       "ssh-ed25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA anna"
      ]
     }
    ]
   },
   "CredentialsInput": {
    "type": "object",
    "properties": {
     "user": {
      "type": "string",
      "minLength": 1,
      "maxLength": 64,
      "description": "Name of the user"
     },
     "password": {
      "type": "string",
      "maxLength": 1024,
      "description": "In clear; the connection is encrypted"
     },
     "cookie": {
      "default": false,
      "description": "true: a cookie for a browser instead of a token; every change then needs the header X-CSRF-Token",
      "type": "boolean"
     }
    },
    "required": [
     "user",
     "password"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "user": "admin",
      "password": "correct horse battery"
     }
    ]
   },
   "SecondFactorInput": {
    "type": "object",
    "properties": {
     "challenge": {
      "type": "string",
      "maxLength": 128,
      "description": "Of the answer second-factor-required"
     },
     "code": {
      "type": "string",
      "minLength": 1,
      "maxLength": 128,
      "description": "Such as the six digits of TOTP"
     },
     "cookie": {
      "default": false,
      "description": "true: a cookie for a browser instead of a token; every change then needs the header X-CSRF-Token",
      "type": "boolean"
     }
    },
    "required": [
     "challenge",
     "code"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "challenge": "b3Jhbmdlcy1hcmUtbm90LXRoZS1vbmx5LWZydWl0cy4",
      "code": "123456"
     }
    ]
   },
   "SecondFactorCodeInput": {
    "type": "object",
    "properties": {
     "code": {
      "type": "string",
      "minLength": 1,
      "maxLength": 64,
      "description": "Six digits of the app, or a recovery code"
     }
    },
    "required": [
     "code"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "code": "123456"
     }
    ]
   },
   "SecondFactorChallengeInput": {
    "type": "object",
    "properties": {
     "challenge": {
      "type": "string",
      "maxLength": 128,
      "description": "Of the answer second-factor-required"
     }
    },
    "required": [
     "challenge"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "challenge": "b3Jhbmdlcy1hcmUtbm90LXRoZS1vbmx5LWZydWl0cy4"
     }
    ]
   },
   "BackupWishInput": {
    "type": "object",
    "properties": {
     "name": {
      "description": "Left out: the host name and the time",
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ]
     },
     "passphrase": {
      "description": "Opens the backup, here or with age; it is kept nowhere",
      "type": "string",
      "minLength": 12,
      "maxLength": 1024
     },
     "recipients": {
      "maxItems": 8,
      "type": "array",
      "items": {
       "type": "string",
       "examples": [
        "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
       ]
      },
      "description": "Public keys of age (age1…) the backup is encrypted for; the secret key of any of them opens it"
     },
     "identity": {
      "default": true,
      "description": "With the certificate and key of the API and the host keys of SSH",
      "type": "boolean"
     },
     "history": {
      "default": false,
      "description": "With the generations of before, to look up",
      "type": "boolean"
     }
    },
    "additionalProperties": false,
    "examples": [
     {
      "passphrase": "four words nobody guesses",
      "identity": true,
      "history": false
     }
    ]
   },
   "RestoreWishInput": {
    "type": "object",
    "properties": {
     "passphrase": {
      "description": "Of the backup",
      "type": "string",
      "maxLength": 1024
     },
     "secretKey": {
      "description": "Of a public key that it was made for: AGE-SECRET-KEY-1…",
      "type": "string",
      "maxLength": 256
     },
     "map": {
      "default": {},
      "description": "Network card of the backup and the one of this box in its place; wins over what would be found",
      "type": "object",
      "propertyNames": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
       "examples": [
        "nic0"
       ]
      },
      "additionalProperties": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
       "examples": [
        "nic0"
       ]
      }
     },
     "acceptProposals": {
      "default": false,
      "description": "Take the places that are only proposed, too: look at a dry run first",
      "type": "boolean"
     },
     "identity": {
      "default": false,
      "description": "Take the certificate and key of the API and the host keys of SSH too, at once and for good",
      "type": "boolean"
     }
    },
    "additionalProperties": false,
    "examples": [
     {
      "passphrase": "four words nobody guesses",
      "map": {
       "eth0": "eth2"
      },
      "identity": false
     }
    ]
   },
   "CertificateRequestInput": {
    "type": "object",
    "properties": {
     "names": {
      "minItems": 1,
      "maxItems": 100,
      "type": "array",
      "items": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 253,
         "pattern": "^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
         "examples": [
          "lb1.example.com"
         ]
        },
        {
         "type": "string",
         "pattern": "^\\*\\.[A-Za-z0-9.-]{1,251}$"
        }
       ]
      },
      "description": "Host names and addresses the certificate is for; the first is its common name"
     },
     "keyType": {
      "default": "ecdsa-p256",
      "description": "Kind of the new key",
      "type": "string",
      "enum": [
       "ecdsa-p256",
       "ecdsa-p384",
       "rsa-2048",
       "rsa-3072",
       "rsa-4096",
       "ed25519"
      ]
     },
     "organization": {
      "description": "Who runs the box",
      "type": "string",
      "pattern": "^[^\\p{Cc}]{1,64}$"
     },
     "country": {
      "description": "Of the organization",
      "type": "string",
      "pattern": "^[A-Z]{2}$"
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     }
    },
    "required": [
     "names"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "names": [
       "lb1.example.com",
       "192.0.2.5"
      ],
      "keyType": "ecdsa-p256"
     }
    ]
   },
   "ObjectChangeInput": {
    "oneOf": [
     {
      "type": "object",
      "properties": {
       "op": {
        "type": "string",
        "const": "put",
        "description": "Makes the object, or replaces it whole"
       },
       "object": {
        "type": "string",
        "maxLength": 128,
        "description": "Path of the object in a generation: farms/web, network/interfaces/nic0, system",
        "examples": [
         "farms/web"
        ]
       },
       "value": {
        "type": "object",
        "properties": {},
        "additionalProperties": {},
        "description": "The object, without its name; (hidden) keeps a secret as it is"
       }
      },
      "required": [
       "op",
       "object",
       "value"
      ],
      "additionalProperties": false
     },
     {
      "type": "object",
      "properties": {
       "op": {
        "type": "string",
        "const": "patch",
        "description": "Changes fields: JSON merge patch, RFC 7396"
       },
       "object": {
        "type": "string",
        "maxLength": 128,
        "description": "Path of the object in a generation: farms/web, network/interfaces/nic0, system",
        "examples": [
         "farms/web"
        ]
       },
       "value": {
        "type": "object",
        "properties": {},
        "additionalProperties": {},
        "description": "The fields to change; null takes a field back to its default"
       }
      },
      "required": [
       "op",
       "object",
       "value"
      ],
      "additionalProperties": false
     },
     {
      "type": "object",
      "properties": {
       "op": {
        "type": "string",
        "const": "delete",
        "description": "Deletes the object"
       },
       "object": {
        "type": "string",
        "maxLength": 128,
        "description": "Path of the object in a generation: farms/web, network/interfaces/nic0, system",
        "examples": [
         "farms/web"
        ]
       }
      },
      "required": [
       "op",
       "object"
      ],
      "additionalProperties": false
     }
    ]
   },
   "TransactionInput": {
    "type": "object",
    "properties": {
     "message": {
      "type": "string",
      "minLength": 1,
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "What the change is for; stands in the history"
     },
     "generation": {
      "description": "The generation the change was made from; when another is current by now, it is refused",
      "type": "integer",
      "minimum": 0
     },
     "confirmWithin": {
      "type": "integer",
      "minimum": 0,
      "maximum": 1440,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     "changes": {
      "description": "Carried out in their order, all or none",
      "maxItems": 100000,
      "type": "array",
      "items": {
       "$ref": "#/components/schemas/ObjectChangeInput"
      }
     },
     "replace": {
      "description": "In place of changes: the whole configuration as GET /api/v1/configuration shows it",
      "type": "object",
      "properties": {},
      "additionalProperties": {}
     }
    },
    "required": [
     "message"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "message": "move web to the new servers",
      "generation": 7,
      "changes": [
       {
        "op": "patch",
        "object": "farms/web",
        "value": {
         "backends": {
          "b1": {
           "address": "198.51.100.7"
          }
         }
        }
       },
       {
        "op": "delete",
        "object": "farms/old"
       }
      ]
     }
    ]
   },
   "PasswordResetInput": {
    "type": "object",
    "properties": {
     "password": {
      "type": "string",
      "description": "The new one, in clear; only its hash is kept"
     }
    },
    "required": [
     "password"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "password": "correct horse battery"
     }
    ]
   },
   "FirstBootAnswersInput": {
    "type": "object",
    "properties": {
     "version": {
      "type": "number",
      "const": 1,
      "description": "Of the format"
     },
     "admin": {
      "type": "object",
      "properties": {
       "password": {
        "description": "In clear; only its hash is kept",
        "type": "string"
       },
       "passwordHash": {
        "description": "Instead of password: crypt(5) of the kind $7$, from mkpasswd -m scrypt",
        "type": "string",
        "pattern": "^\\$7\\$[./0-9A-Za-z]{11}[./0-9A-Za-z]{8,64}\\$[./0-9A-Za-z]{43}$"
       },
       "sshKeys": {
        "default": [],
        "description": "OpenSSH public keys, one line each",
        "maxItems": 32,
        "type": "array",
        "items": {
         "type": "string",
         "pattern": "^(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh\\.com|sk-ecdsa-sha2-nistp256@openssh\\.com) [A-Za-z0-9+/]+={0,3}(?: [^\\r\\n]*)?$"
        }
       }
      },
      "additionalProperties": false,
      "description": "How the administrator logs in"
     },
     "system": {
      "description": "The box itself",
      "$ref": "#/components/schemas/SystemInput",
      "default": {
       "hostname": "steelyard",
       "dns": {
        "servers": [],
        "search": [],
        "dnssec": "no",
        "overTls": "no"
       },
       "ntp": {
        "servers": []
       },
       "timeZone": "UTC",
       "hosts": [],
       "proxy": {
        "bypass": []
       },
       "management": {
        "interfaces": [],
        "port": 444
       },
       "console": {
        "passwordReset": true
       },
       "ssh": {
        "enabled": false,
        "port": 22,
        "passwordAuthentication": false
       }
      }
     },
     "interfaces": {
      "description": "Network interfaces by name",
      "type": "object",
      "propertyNames": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
       "examples": [
        "nic0"
       ]
      },
      "additionalProperties": {
       "$ref": "#/components/schemas/InterfaceInput"
      },
      "default": {}
     },
     "virtualAddresses": {
      "description": "Virtual addresses by name",
      "type": "object",
      "propertyNames": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      },
      "additionalProperties": {
       "$ref": "#/components/schemas/VirtualAddressInput"
      },
      "default": {}
     },
     "farms": {
      "description": "Farms by name",
      "type": "object",
      "propertyNames": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      },
      "additionalProperties": {
       "oneOf": [
        {
         "$ref": "#/components/schemas/L4FarmInput"
        }
       ]
      },
      "default": {}
     },
     "certificates": {
      "description": "Certificates and their keys by name",
      "type": "object",
      "propertyNames": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      },
      "additionalProperties": {
       "$ref": "#/components/schemas/CertificateInput"
      },
      "default": {}
     }
    },
    "required": [
     "version",
     "admin"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "version": 1,
      "admin": {
       "password": "correct horse battery"
      },
      "system": {
       "hostname": "lb1",
       "management": {
        "interfaces": [
         "nic0"
        ]
       }
      },
      "interfaces": {
       "nic0": {
        "ipv4": {
         "method": "static",
         "addresses": [
          "192.0.2.5/24"
         ],
         "gateway": "192.0.2.1"
        }
       }
      }
     }
    ]
   },
   "SealInput": {
    "type": "object",
    "properties": {
     "hostname": {
      "type": "string",
      "description": "Of this box, lest it is another one that is sealed"
     },
     "keepConfiguration": {
      "default": false,
      "description": "true: the copies serve with this configuration; false: each has a first boot",
      "type": "boolean"
     }
    },
    "required": [
     "hostname"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "hostname": "lb1",
      "keepConfiguration": false
     }
    ]
   },
   "AdoptionInput": {
    "type": "object",
    "properties": {
     "card": {
      "description": "Name the card has now; left out, the only one that is evidently in the place of the missing one",
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ]
     }
    },
    "additionalProperties": false,
    "examples": [
     {
      "card": "nic4"
     }
    ]
   },
   "FactoryResetInput": {
    "type": "object",
    "properties": {
     "hostname": {
      "type": "string",
      "maxLength": 253,
      "description": "Host name of the box, to show that it is this one that is meant"
     },
     "keep": {
      "default": [],
      "description": "What stays on /data: logs (journal and audit log), backups; all else goes",
      "maxItems": 2,
      "type": "array",
      "items": {
       "type": "string",
       "enum": [
        "logs",
        "backups"
       ]
      }
     }
    },
    "required": [
     "hostname"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "hostname": "lb1",
      "keep": [
       "logs"
      ]
     }
    ]
   },
   "NewUserInput": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z][a-z0-9_-]{0,31}$",
      "examples": [
       "anna"
      ],
      "description": "Name of the user"
     },
     "fullName": {
      "default": "",
      "description": "Shown to people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "source": {
      "default": "local",
      "description": "Who checks the password: this box, or a directory such as LDAP",
      "type": "string",
      "enum": [
       "local",
       "directory"
      ]
     },
     "groups": {
      "default": [],
      "description": "Their roles are held too",
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      }
     },
     "roles": {
      "default": [],
      "description": "In addition to those of the groups",
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      }
     },
     "sshKeys": {
      "default": [],
      "description": "For the shell of the box; needs the permission shell:use",
      "maxItems": 32,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh\\.com|sk-ecdsa-sha2-nistp256@openssh\\.com) [A-Za-z0-9+/]+={0,3}(?: [^\\r\\n]*)?$"
      }
     },
     "disabled": {
      "default": false,
      "description": "true: lets nobody in, and ends what is open",
      "type": "boolean"
     },
     "expires": {
      "description": "From the beginning of this day (UTC) on, the account lets nobody in",
      "type": "string",
      "format": "date",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))$"
     },
     "password": {
      "description": "In clear; only its hash is kept. Left out when replacing: stays as it is; null: none, no login by password",
      "anyOf": [
       {
        "type": "string",
        "maxLength": 1024
       },
       {
        "type": "null"
       }
      ]
     }
    },
    "required": [
     "name"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "anna",
      "fullName": "Anna Berg",
      "roles": [
       "operator"
      ],
      "password": "correct horse battery"
     }
    ]
   },
   "UserReplacementInput": {
    "type": "object",
    "properties": {
     "name": {
      "description": "When given, the name in the address: an object keeps its name",
      "type": "string",
      "pattern": "^[a-z][a-z0-9_-]{0,31}$",
      "examples": [
       "anna"
      ]
     },
     "fullName": {
      "default": "",
      "description": "Shown to people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "source": {
      "default": "local",
      "description": "Who checks the password: this box, or a directory such as LDAP",
      "type": "string",
      "enum": [
       "local",
       "directory"
      ]
     },
     "groups": {
      "default": [],
      "description": "Their roles are held too",
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      }
     },
     "roles": {
      "default": [],
      "description": "In addition to those of the groups",
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      }
     },
     "sshKeys": {
      "default": [],
      "description": "For the shell of the box; needs the permission shell:use",
      "maxItems": 32,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh\\.com|sk-ecdsa-sha2-nistp256@openssh\\.com) [A-Za-z0-9+/]+={0,3}(?: [^\\r\\n]*)?$"
      }
     },
     "disabled": {
      "default": false,
      "description": "true: lets nobody in, and ends what is open",
      "type": "boolean"
     },
     "expires": {
      "description": "From the beginning of this day (UTC) on, the account lets nobody in",
      "type": "string",
      "format": "date",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))$"
     },
     "password": {
      "description": "In clear; only its hash is kept. Left out when replacing: stays as it is; null: none, no login by password",
      "anyOf": [
       {
        "type": "string",
        "maxLength": 1024
       },
       {
        "type": "null"
       }
      ]
     }
    },
    "additionalProperties": false,
    "examples": [
     {
      "fullName": "Anna Berg",
      "roles": [
       "operator"
      ],
      "password": "correct horse battery"
     }
    ]
   },
   "NamedGroupInput": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the group"
     },
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "roles": {
      "default": [],
      "description": "Held by every member",
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      }
     }
    },
    "required": [
     "name"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "web-team",
      "description": "Runs the shop",
      "roles": [
       "shop"
      ]
     }
    ]
   },
   "GroupReplacementInput": {
    "type": "object",
    "properties": {
     "name": {
      "description": "When given, the name in the address: an object keeps its name",
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ]
     },
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "roles": {
      "default": [],
      "description": "Held by every member",
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      }
     }
    },
    "additionalProperties": false,
    "examples": [
     {
      "description": "Runs the shop",
      "roles": [
       "shop"
      ]
     }
    ]
   },
   "NamedRoleInput": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the role"
     },
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "permissions": {
      "default": [],
      "description": "Each resource:verb; either half may be *",
      "maxItems": 256,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^(?:\\*|[a-z][a-z-]{0,31}):(?:\\*|[a-z][a-z-]{0,31})$",
       "examples": [
        "farms:update"
       ]
      }
     },
     "bindings": {
      "default": {},
      "description": "Only these objects, by kind; a kind left out is not bound. In a bound role the resource * stands for the bound kinds",
      "$ref": "#/components/schemas/BindingsInput"
     }
    },
    "required": [
     "name"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "shop",
      "description": "Farms of the shop",
      "permissions": [
       "farms:*",
       "statistics:read"
      ],
      "bindings": {
       "farms": [
        "shop-*"
       ]
      }
     }
    ]
   },
   "RoleReplacementInput": {
    "type": "object",
    "properties": {
     "name": {
      "description": "When given, the name in the address: an object keeps its name",
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ]
     },
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "permissions": {
      "default": [],
      "description": "Each resource:verb; either half may be *",
      "maxItems": 256,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^(?:\\*|[a-z][a-z-]{0,31}):(?:\\*|[a-z][a-z-]{0,31})$",
       "examples": [
        "farms:update"
       ]
      }
     },
     "bindings": {
      "default": {},
      "description": "Only these objects, by kind; a kind left out is not bound. In a bound role the resource * stands for the bound kinds",
      "$ref": "#/components/schemas/BindingsInput"
     }
    },
    "additionalProperties": false,
    "examples": [
     {
      "description": "Farms of the shop",
      "permissions": [
       "farms:*",
       "statistics:read"
      ],
      "bindings": {
       "farms": [
        "shop-*"
       ]
      }
     }
    ]
   },
   "NewDirectoryInput": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the directory"
     },
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "enabled": {
      "default": true,
      "description": "false: nobody logs in by it, and its sessions end",
      "type": "boolean"
     },
     "order": {
      "default": 100,
      "description": "Directories are asked from the lowest number on, then by name",
      "type": "integer",
      "minimum": 1,
      "maximum": 1000
     },
     "servers": {
      "minItems": 1,
      "maxItems": 8,
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "Asked in this order until one answers. ldaps:// is TLS from the first byte; ldap:// begins TLS with StartTLS"
     },
     "allowUnencrypted": {
      "default": false,
      "description": "true: ldap:// without TLS; passwords then cross the network in clear",
      "type": "boolean"
     },
     "caCertificates": {
      "description": "Certificates of the authorities that may have signed the servers' (PEM); left out: the public ones",
      "type": "string",
      "maxLength": 65536
     },
     "pinnedCertificates": {
      "description": "SHA-256 of the servers' own certificates: these and no others, whoever signed them",
      "maxItems": 16,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}$"
      },
      "default": []
     },
     "serverName": {
      "description": "The name that the servers' certificates have, where it is not that of the address",
      "type": "string",
      "minLength": 1,
      "maxLength": 253,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "bindDn": {
      "description": "Account that searches; left out with no userTemplate: anonymous",
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "bindPassword": {
      "description": "Left out when replacing: stays; null: none",
      "anyOf": [
       {
        "type": "string",
        "minLength": 1,
        "maxLength": 1024,
        "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
       },
       {
        "type": "null"
       }
      ]
     },
     "userTemplate": {
      "description": "Users bind themselves by this name, such as uid={user},ou=people,dc=example,dc=com, before they are searched for",
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "baseDn": {
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Where users are searched for, and all below"
     },
     "userFilter": {
      "default": "(uid={user})",
      "description": "RFC 4515; {user} stands for the name, escaped. Active Directory: (sAMAccountName={user})",
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "groupLookup": {
      "default": "memberOf",
      "description": "memberOf: the attribute of the user; search: groups that name the user, by groupFilter; active-directory: nested ones too, by the matching rule 1.2.840.113556.1.4.1941",
      "type": "string",
      "enum": [
       "memberOf",
       "search",
       "active-directory"
      ]
     },
     "groupBaseDn": {
      "description": "Where groups are searched for; left out: baseDn",
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "groupFilter": {
      "default": "(|(member={dn})(uniqueMember={dn})(memberUid={user}))",
      "description": "For search: {dn} stands for the DN of the user, {user} for the name, both escaped",
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "nestedGroups": {
      "default": false,
      "description": "For memberOf and search: groups of groups count too, up to 8 deep",
      "type": "boolean"
     },
     "groupRoles": {
      "default": [],
      "description": "Which group holds which roles; who holds none is refused",
      "maxItems": 256,
      "type": "array",
      "items": {
       "$ref": "#/components/schemas/GroupRolesInput"
      }
     },
     "defaultRoles": {
      "default": [],
      "description": "Held by everybody whom the directory knows",
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      }
     },
     "timeoutSeconds": {
      "default": 5,
      "description": "For connecting with TLS, and for each answer",
      "type": "integer",
      "minimum": 1,
      "maximum": 30
     },
     "recheckMinutes": {
      "default": 5,
      "description": "Roles of open sessions are looked up anew after this time",
      "type": "integer",
      "minimum": 1,
      "maximum": 1440
     },
     "graceMinutes": {
      "default": 60,
      "description": "Sessions outlive a directory that does not answer for this time beyond recheckMinutes",
      "type": "integer",
      "minimum": 0,
      "maximum": 10080
     }
    },
    "required": [
     "name",
     "servers",
     "baseDn"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "corp",
      "servers": [
       "ldaps://ldap1.example.com",
       "ldaps://ldap2.example.com"
      ],
      "bindDn": "cn=steelyard,ou=services,dc=example,dc=com",
      "baseDn": "dc=example,dc=com",
      "userFilter": "(uid={user})",
      "groupRoles": [
       {
        "group": "cn=network,ou=groups,dc=example,dc=com",
        "roles": [
         "operator"
        ]
       }
      ],
      "bindPassword": "a password of its own"
     }
    ]
   },
   "DirectoryReplacementInput": {
    "type": "object",
    "properties": {
     "name": {
      "description": "When given, the name in the address: an object keeps its name",
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ]
     },
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "enabled": {
      "default": true,
      "description": "false: nobody logs in by it, and its sessions end",
      "type": "boolean"
     },
     "order": {
      "default": 100,
      "description": "Directories are asked from the lowest number on, then by name",
      "type": "integer",
      "minimum": 1,
      "maximum": 1000
     },
     "servers": {
      "minItems": 1,
      "maxItems": 8,
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "Asked in this order until one answers. ldaps:// is TLS from the first byte; ldap:// begins TLS with StartTLS"
     },
     "allowUnencrypted": {
      "default": false,
      "description": "true: ldap:// without TLS; passwords then cross the network in clear",
      "type": "boolean"
     },
     "caCertificates": {
      "description": "Certificates of the authorities that may have signed the servers' (PEM); left out: the public ones",
      "type": "string",
      "maxLength": 65536
     },
     "pinnedCertificates": {
      "description": "SHA-256 of the servers' own certificates: these and no others, whoever signed them",
      "maxItems": 16,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}$"
      },
      "default": []
     },
     "serverName": {
      "description": "The name that the servers' certificates have, where it is not that of the address",
      "type": "string",
      "minLength": 1,
      "maxLength": 253,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "bindDn": {
      "description": "Account that searches; left out with no userTemplate: anonymous",
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "bindPassword": {
      "description": "Left out when replacing: stays; null: none",
      "anyOf": [
       {
        "type": "string",
        "minLength": 1,
        "maxLength": 1024,
        "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
       },
       {
        "type": "null"
       }
      ]
     },
     "userTemplate": {
      "description": "Users bind themselves by this name, such as uid={user},ou=people,dc=example,dc=com, before they are searched for",
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "baseDn": {
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Where users are searched for, and all below"
     },
     "userFilter": {
      "default": "(uid={user})",
      "description": "RFC 4515; {user} stands for the name, escaped. Active Directory: (sAMAccountName={user})",
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "groupLookup": {
      "default": "memberOf",
      "description": "memberOf: the attribute of the user; search: groups that name the user, by groupFilter; active-directory: nested ones too, by the matching rule 1.2.840.113556.1.4.1941",
      "type": "string",
      "enum": [
       "memberOf",
       "search",
       "active-directory"
      ]
     },
     "groupBaseDn": {
      "description": "Where groups are searched for; left out: baseDn",
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "groupFilter": {
      "default": "(|(member={dn})(uniqueMember={dn})(memberUid={user}))",
      "description": "For search: {dn} stands for the DN of the user, {user} for the name, both escaped",
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "nestedGroups": {
      "default": false,
      "description": "For memberOf and search: groups of groups count too, up to 8 deep",
      "type": "boolean"
     },
     "groupRoles": {
      "default": [],
      "description": "Which group holds which roles; who holds none is refused",
      "maxItems": 256,
      "type": "array",
      "items": {
       "$ref": "#/components/schemas/GroupRolesInput"
      }
     },
     "defaultRoles": {
      "default": [],
      "description": "Held by everybody whom the directory knows",
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      }
     },
     "timeoutSeconds": {
      "default": 5,
      "description": "For connecting with TLS, and for each answer",
      "type": "integer",
      "minimum": 1,
      "maximum": 30
     },
     "recheckMinutes": {
      "default": 5,
      "description": "Roles of open sessions are looked up anew after this time",
      "type": "integer",
      "minimum": 1,
      "maximum": 1440
     },
     "graceMinutes": {
      "default": 60,
      "description": "Sessions outlive a directory that does not answer for this time beyond recheckMinutes",
      "type": "integer",
      "minimum": 0,
      "maximum": 10080
     }
    },
    "required": [
     "servers",
     "baseDn"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "servers": [
       "ldaps://ldap1.example.com",
       "ldaps://ldap2.example.com"
      ],
      "bindDn": "cn=steelyard,ou=services,dc=example,dc=com",
      "baseDn": "dc=example,dc=com",
      "userFilter": "(uid={user})",
      "groupRoles": [
       {
        "group": "cn=network,ou=groups,dc=example,dc=com",
        "roles": [
         "operator"
        ]
       }
      ],
      "bindPassword": "a password of its own"
     }
    ]
   },
   "NamedAuditTargetInput": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the audit target"
     },
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "enabled": {
      "default": true,
      "description": "false: nothing is sent, and the place is kept",
      "type": "boolean"
     },
     "host": {
      "anyOf": [
       {
        "type": "string",
        "examples": [
         "192.0.2.10"
        ]
       },
       {
        "type": "string",
        "maxLength": 253,
        "pattern": "^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
        "examples": [
         "lb1.example.com"
        ]
       }
      ],
      "description": "Of the syslog server"
     },
     "port": {
      "description": "Left out: 6514 for tls, 601 for tcp, 514 for udp",
      "type": "integer",
      "minimum": 1,
      "maximum": 65535,
      "examples": [
       80
      ]
     },
     "transport": {
      "default": "tls",
      "description": "tls: RFC 5425; tcp: RFC 6587 with octet counting; udp: RFC 5426, where what is lost is not noticed",
      "type": "string",
      "enum": [
       "tls",
       "tcp",
       "udp"
      ]
     },
     "caCertificates": {
      "description": "For tls: certificates of the authorities that may have signed the server's (PEM); left out: the public ones",
      "type": "string",
      "maxLength": 65536
     },
     "pinnedCertificates": {
      "description": "For tls: SHA-256 of the server's own certificate: these and no others, whoever signed them",
      "maxItems": 16,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}$"
      },
      "default": []
     },
     "serverName": {
      "description": "For tls: the name in the certificate, where it is not the host",
      "type": "string",
      "maxLength": 253,
      "pattern": "^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
      "examples": [
       "lb1.example.com"
      ]
     },
     "facility": {
      "default": "audit",
      "description": "Of RFC 5424",
      "type": "string",
      "enum": [
       "kern",
       "user",
       "daemon",
       "auth",
       "syslog",
       "authpriv",
       "audit",
       "alert",
       "local0",
       "local1",
       "local2",
       "local3",
       "local4",
       "local5",
       "local6",
       "local7"
      ]
     },
     "format": {
      "default": "json",
      "description": "After the structured data. json: the record as it stands in the log, so that its hash can be checked; text: one sentence",
      "type": "string",
      "enum": [
       "json",
       "text"
      ]
     },
     "enterpriseNumber": {
      "default": 32473,
      "description": "Of the SD-ID steelyard@…; the default is the one for examples (RFC 5612)",
      "type": "integer",
      "minimum": 1,
      "maximum": 4294967295
     },
     "maxBytes": {
      "default": 8192,
      "description": "Greatest message the server takes; for udp 2048. A record that is longer goes without its diffs",
      "type": "integer",
      "minimum": 2048,
      "maximum": 262144
     }
    },
    "required": [
     "name",
     "host"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "siem",
      "host": "siem.example.com",
      "transport": "tls",
      "facility": "audit"
     }
    ]
   },
   "AuditTargetReplacementInput": {
    "type": "object",
    "properties": {
     "name": {
      "description": "When given, the name in the address: an object keeps its name",
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ]
     },
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "enabled": {
      "default": true,
      "description": "false: nothing is sent, and the place is kept",
      "type": "boolean"
     },
     "host": {
      "anyOf": [
       {
        "type": "string",
        "examples": [
         "192.0.2.10"
        ]
       },
       {
        "type": "string",
        "maxLength": 253,
        "pattern": "^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
        "examples": [
         "lb1.example.com"
        ]
       }
      ],
      "description": "Of the syslog server"
     },
     "port": {
      "description": "Left out: 6514 for tls, 601 for tcp, 514 for udp",
      "type": "integer",
      "minimum": 1,
      "maximum": 65535,
      "examples": [
       80
      ]
     },
     "transport": {
      "default": "tls",
      "description": "tls: RFC 5425; tcp: RFC 6587 with octet counting; udp: RFC 5426, where what is lost is not noticed",
      "type": "string",
      "enum": [
       "tls",
       "tcp",
       "udp"
      ]
     },
     "caCertificates": {
      "description": "For tls: certificates of the authorities that may have signed the server's (PEM); left out: the public ones",
      "type": "string",
      "maxLength": 65536
     },
     "pinnedCertificates": {
      "description": "For tls: SHA-256 of the server's own certificate: these and no others, whoever signed them",
      "maxItems": 16,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}$"
      },
      "default": []
     },
     "serverName": {
      "description": "For tls: the name in the certificate, where it is not the host",
      "type": "string",
      "maxLength": 253,
      "pattern": "^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
      "examples": [
       "lb1.example.com"
      ]
     },
     "facility": {
      "default": "audit",
      "description": "Of RFC 5424",
      "type": "string",
      "enum": [
       "kern",
       "user",
       "daemon",
       "auth",
       "syslog",
       "authpriv",
       "audit",
       "alert",
       "local0",
       "local1",
       "local2",
       "local3",
       "local4",
       "local5",
       "local6",
       "local7"
      ]
     },
     "format": {
      "default": "json",
      "description": "After the structured data. json: the record as it stands in the log, so that its hash can be checked; text: one sentence",
      "type": "string",
      "enum": [
       "json",
       "text"
      ]
     },
     "enterpriseNumber": {
      "default": 32473,
      "description": "Of the SD-ID steelyard@…; the default is the one for examples (RFC 5612)",
      "type": "integer",
      "minimum": 1,
      "maximum": 4294967295
     },
     "maxBytes": {
      "default": 8192,
      "description": "Greatest message the server takes; for udp 2048. A record that is longer goes without its diffs",
      "type": "integer",
      "minimum": 2048,
      "maximum": 262144
     }
    },
    "required": [
     "host"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "host": "siem.example.com",
      "transport": "tls",
      "facility": "audit"
     }
    ]
   },
   "NamedFarmInput": {
    "oneOf": [
     {
      "type": "object",
      "properties": {
       "name": {
        "type": "string",
        "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
        "examples": [
         "web"
        ],
        "description": "Name of the farm"
       },
       "profile": {
        "type": "string",
        "const": "l4xnat",
        "description": "Kind of farm"
       },
       "enabled": {
        "default": true,
        "description": "A farm that is not enabled opens no port",
        "type": "boolean"
       },
       "description": {
        "default": "",
        "type": "string",
        "maxLength": 255,
        "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
        "description": "Free text of one line, for people"
       },
       "virtualAddresses": {
        "minItems": 1,
        "maxItems": 64,
        "type": "array",
        "items": {
         "type": "string",
         "examples": [
          "192.0.2.10"
         ]
        },
        "description": "Addresses clients connect to, all of one family; the box must own them"
       },
       "ports": {
        "minItems": 1,
        "maxItems": 64,
        "type": "array",
        "items": {
         "anyOf": [
          {
           "type": "integer",
           "minimum": 1,
           "maximum": 65535,
           "examples": [
            80
           ]
          },
          {
           "type": "string"
          }
         ],
         "examples": [
          "80",
          "8000-8010"
         ]
        },
        "description": "Ports and ranges of ports clients connect to"
       },
       "protocol": {
        "default": "tcp",
        "description": "Protocol of layer 4",
        "type": "string",
        "enum": [
         "tcp",
         "udp"
        ]
       },
       "natType": {
        "default": "nat",
        "description": "nat: backends see the box's address; dnat: they see the client's, and must route back through the box",
        "type": "string",
        "enum": [
         "nat",
         "dnat"
        ]
       },
       "algorithm": {
        "default": "weight",
        "description": "How a new connection is given a backend",
        "type": "string",
        "enum": [
         "weight",
         "round-robin",
         "hash-source-address",
         "hash-source-address-port"
        ]
       },
       "backends": {
        "description": "Backends by name",
        "type": "object",
        "propertyNames": {
         "type": "string",
         "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
         "examples": [
          "web"
         ]
        },
        "additionalProperties": {
         "$ref": "#/components/schemas/L4BackendInput"
        },
        "default": {}
       }
      },
      "required": [
       "name",
       "profile",
       "virtualAddresses",
       "ports"
      ],
      "additionalProperties": false
     }
    ],
    "examples": [
     {
      "name": "web",
      "profile": "l4xnat",
      "virtualAddresses": [
       "192.0.2.10"
      ],
      "ports": [
       "80"
      ],
      "backends": {
       "b1": {
        "address": "198.51.100.1",
        "port": 80
       },
       "b2": {
        "address": "198.51.100.2",
        "port": 80,
        "weight": 3
       }
      }
     }
    ]
   },
   "FarmReplacementInput": {
    "oneOf": [
     {
      "type": "object",
      "properties": {
       "name": {
        "description": "When given, the name in the address: an object keeps its name",
        "type": "string",
        "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
        "examples": [
         "web"
        ]
       },
       "profile": {
        "type": "string",
        "const": "l4xnat",
        "description": "Kind of farm"
       },
       "enabled": {
        "default": true,
        "description": "A farm that is not enabled opens no port",
        "type": "boolean"
       },
       "description": {
        "default": "",
        "type": "string",
        "maxLength": 255,
        "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
        "description": "Free text of one line, for people"
       },
       "virtualAddresses": {
        "minItems": 1,
        "maxItems": 64,
        "type": "array",
        "items": {
         "type": "string",
         "examples": [
          "192.0.2.10"
         ]
        },
        "description": "Addresses clients connect to, all of one family; the box must own them"
       },
       "ports": {
        "minItems": 1,
        "maxItems": 64,
        "type": "array",
        "items": {
         "anyOf": [
          {
           "type": "integer",
           "minimum": 1,
           "maximum": 65535,
           "examples": [
            80
           ]
          },
          {
           "type": "string"
          }
         ],
         "examples": [
          "80",
          "8000-8010"
         ]
        },
        "description": "Ports and ranges of ports clients connect to"
       },
       "protocol": {
        "default": "tcp",
        "description": "Protocol of layer 4",
        "type": "string",
        "enum": [
         "tcp",
         "udp"
        ]
       },
       "natType": {
        "default": "nat",
        "description": "nat: backends see the box's address; dnat: they see the client's, and must route back through the box",
        "type": "string",
        "enum": [
         "nat",
         "dnat"
        ]
       },
       "algorithm": {
        "default": "weight",
        "description": "How a new connection is given a backend",
        "type": "string",
        "enum": [
         "weight",
         "round-robin",
         "hash-source-address",
         "hash-source-address-port"
        ]
       },
       "backends": {
        "description": "Backends by name",
        "type": "object",
        "propertyNames": {
         "type": "string",
         "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
         "examples": [
          "web"
         ]
        },
        "additionalProperties": {
         "$ref": "#/components/schemas/L4BackendInput"
        },
        "default": {}
       }
      },
      "required": [
       "profile",
       "virtualAddresses",
       "ports"
      ],
      "additionalProperties": false
     }
    ],
    "examples": [
     {
      "profile": "l4xnat",
      "virtualAddresses": [
       "192.0.2.10"
      ],
      "ports": [
       "80"
      ],
      "backends": {
       "b1": {
        "address": "198.51.100.1",
        "port": 80
       },
       "b2": {
        "address": "198.51.100.2",
        "port": 80,
        "weight": 3
       }
      }
     }
    ]
   },
   "NamedBackendInput": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the backend"
     },
     "address": {
      "description": "Address of the server; of the same family as the virtual addresses",
      "type": "string",
      "examples": [
       "192.0.2.10"
      ]
     },
     "port": {
      "description": "Port on the server; left out, the port the client asked for",
      "type": "integer",
      "minimum": 1,
      "maximum": 65535,
      "examples": [
       80
      ]
     },
     "weight": {
      "default": 1,
      "description": "Share of new connections, next to the weights of the other backends",
      "type": "integer",
      "minimum": 1,
      "maximum": 255
     },
     "priority": {
      "default": 1,
      "description": "1 is used first; for each backend in use that is not up, the next priority is used as well",
      "type": "integer",
      "minimum": 1,
      "maximum": 9
     },
     "state": {
      "default": "up",
      "description": "up: takes connections; maintenance: keeps the ones it has, gets no new one; down: loses them all",
      "type": "string",
      "enum": [
       "up",
       "maintenance",
       "down"
      ]
     }
    },
    "required": [
     "name",
     "address"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "b3",
      "address": "198.51.100.3",
      "port": 80,
      "weight": 2
     }
    ]
   },
   "BackendReplacementInput": {
    "type": "object",
    "properties": {
     "name": {
      "description": "When given, the name in the address: an object keeps its name",
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ]
     },
     "address": {
      "description": "Address of the server; of the same family as the virtual addresses",
      "type": "string",
      "examples": [
       "192.0.2.10"
      ]
     },
     "port": {
      "description": "Port on the server; left out, the port the client asked for",
      "type": "integer",
      "minimum": 1,
      "maximum": 65535,
      "examples": [
       80
      ]
     },
     "weight": {
      "default": 1,
      "description": "Share of new connections, next to the weights of the other backends",
      "type": "integer",
      "minimum": 1,
      "maximum": 255
     },
     "priority": {
      "default": 1,
      "description": "1 is used first; for each backend in use that is not up, the next priority is used as well",
      "type": "integer",
      "minimum": 1,
      "maximum": 9
     },
     "state": {
      "default": "up",
      "description": "up: takes connections; maintenance: keeps the ones it has, gets no new one; down: loses them all",
      "type": "string",
      "enum": [
       "up",
       "maintenance",
       "down"
      ]
     }
    },
    "required": [
     "address"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "address": "198.51.100.3",
      "port": 80,
      "weight": 2
     }
    ]
   },
   "NamedInterfaceInput": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ],
      "description": "Name of the interface"
     },
     "kind": {
      "default": "ethernet",
      "description": "ethernet: a network card; the others are made by the box",
      "type": "string",
      "enum": [
       "ethernet",
       "bond",
       "vlan",
       "bridge",
       "dummy"
      ]
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "alias": {
      "default": "",
      "description": "A name for people, which the kernel keeps with the interface (ifAlias)",
      "type": "string",
      "pattern": "^[\\x20-\\x7e]{0,64}$"
     },
     "enabled": {
      "default": true,
      "description": "Administratively up",
      "type": "boolean"
     },
     "mtu": {
      "description": "Bytes; left out, the driver's own",
      "type": "integer",
      "minimum": 1280,
      "maximum": 65535
     },
     "bond": {
      "description": "Of kind bond",
      "$ref": "#/components/schemas/BondInput"
     },
     "vlan": {
      "description": "Of kind vlan",
      "$ref": "#/components/schemas/VlanInput"
     },
     "bridge": {
      "description": "Of kind bridge",
      "$ref": "#/components/schemas/BridgeInput"
     },
     "ipv4": {
      "description": "IPv4 on this interface",
      "$ref": "#/components/schemas/Ipv4SettingsInput",
      "default": {
       "method": "none",
       "addresses": []
      }
     },
     "ipv6": {
      "description": "IPv6 on this interface",
      "$ref": "#/components/schemas/Ipv6SettingsInput",
      "default": {
       "method": "none",
       "addresses": []
      }
     }
    },
    "required": [
     "name"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "nic0",
      "ipv4": {
       "method": "static",
       "addresses": [
        "192.0.2.5/24"
       ],
       "gateway": "192.0.2.1"
      }
     }
    ]
   },
   "InterfaceReplacementInput": {
    "type": "object",
    "properties": {
     "name": {
      "description": "When given, the name in the address: an object keeps its name",
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ]
     },
     "kind": {
      "default": "ethernet",
      "description": "ethernet: a network card; the others are made by the box",
      "type": "string",
      "enum": [
       "ethernet",
       "bond",
       "vlan",
       "bridge",
       "dummy"
      ]
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "alias": {
      "default": "",
      "description": "A name for people, which the kernel keeps with the interface (ifAlias)",
      "type": "string",
      "pattern": "^[\\x20-\\x7e]{0,64}$"
     },
     "enabled": {
      "default": true,
      "description": "Administratively up",
      "type": "boolean"
     },
     "mtu": {
      "description": "Bytes; left out, the driver's own",
      "type": "integer",
      "minimum": 1280,
      "maximum": 65535
     },
     "bond": {
      "description": "Of kind bond",
      "$ref": "#/components/schemas/BondInput"
     },
     "vlan": {
      "description": "Of kind vlan",
      "$ref": "#/components/schemas/VlanInput"
     },
     "bridge": {
      "description": "Of kind bridge",
      "$ref": "#/components/schemas/BridgeInput"
     },
     "ipv4": {
      "description": "IPv4 on this interface",
      "$ref": "#/components/schemas/Ipv4SettingsInput",
      "default": {
       "method": "none",
       "addresses": []
      }
     },
     "ipv6": {
      "description": "IPv6 on this interface",
      "$ref": "#/components/schemas/Ipv6SettingsInput",
      "default": {
       "method": "none",
       "addresses": []
      }
     }
    },
    "additionalProperties": false,
    "examples": [
     {
      "ipv4": {
       "method": "static",
       "addresses": [
        "192.0.2.5/24"
       ],
       "gateway": "192.0.2.1"
      }
     }
    ]
   },
   "NamedVirtualAddressInput": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the virtual address"
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "enabled": {
      "default": true,
      "description": "false: the address is not on the box",
      "type": "boolean"
     },
     "interface": {
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ],
      "description": "Interface the address is put on"
     },
     "address": {
      "description": "The address with its prefix length",
      "type": "string",
      "examples": [
       "192.0.2.10/24"
      ]
     }
    },
    "required": [
     "name",
     "interface",
     "address"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "web",
      "interface": "nic0",
      "address": "192.0.2.10/24"
     }
    ]
   },
   "VirtualAddressReplacementInput": {
    "type": "object",
    "properties": {
     "name": {
      "description": "When given, the name in the address: an object keeps its name",
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ]
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "enabled": {
      "default": true,
      "description": "false: the address is not on the box",
      "type": "boolean"
     },
     "interface": {
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ],
      "description": "Interface the address is put on"
     },
     "address": {
      "description": "The address with its prefix length",
      "type": "string",
      "examples": [
       "192.0.2.10/24"
      ]
     }
    },
    "required": [
     "interface",
     "address"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "interface": "nic0",
      "address": "192.0.2.10/24"
     }
    ]
   },
   "NamedRoutingTableInput": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the routing table"
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "id": {
      "type": "integer",
      "minimum": 1,
      "maximum": 999,
      "description": "Number of the table in the kernel; 253 to 255 are the kernel's own"
     }
    },
    "required": [
     "name",
     "id"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "partner",
      "id": 100
     }
    ]
   },
   "RoutingTableReplacementInput": {
    "type": "object",
    "properties": {
     "name": {
      "description": "When given, the name in the address: an object keeps its name",
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ]
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "id": {
      "type": "integer",
      "minimum": 1,
      "maximum": 999,
      "description": "Number of the table in the kernel; 253 to 255 are the kernel's own"
     }
    },
    "required": [
     "id"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "id": 100
     }
    ]
   },
   "NamedRoutingRuleInput": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the routing rule"
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "enabled": {
      "default": true,
      "description": "false: the rule is not in the kernel",
      "type": "boolean"
     },
     "priority": {
      "type": "integer",
      "minimum": 29000,
      "maximum": 30999,
      "description": "Rules are asked in rising order, these before those that the box makes by itself"
     },
     "from": {
      "description": "Network the packet comes from",
      "type": "string",
      "examples": [
       "198.51.100.0/24"
      ]
     },
     "to": {
      "description": "Network the packet goes to",
      "type": "string",
      "examples": [
       "198.51.100.0/24"
      ]
     },
     "mark": {
      "description": "Mark of the packet",
      "type": "object",
      "properties": {
       "value": {
        "type": "integer",
        "minimum": 0,
        "maximum": 4294967295,
        "description": "What the mark is compared with, as far as the mask goes"
       },
       "mask": {
        "default": 4294967295,
        "description": "Bits that count",
        "type": "integer",
        "minimum": 1,
        "maximum": 4294967295
       }
      },
      "required": [
       "value"
      ],
      "additionalProperties": false
     },
     "interface": {
      "description": "Interface the packet came in by; lo: the box itself sends it",
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ]
     },
     "not": {
      "default": false,
      "description": "true: for packets that do not fit",
      "type": "boolean"
     },
     "table": {
      "default": "main",
      "description": "main, the name of a routing table, or that of an interface: its own table",
      "examples": [
       "main"
      ],
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$"
     }
    },
    "required": [
     "name",
     "priority"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "from-partner",
      "priority": 29100,
      "from": "198.51.100.0/24",
      "table": "partner"
     }
    ]
   },
   "RoutingRuleReplacementInput": {
    "type": "object",
    "properties": {
     "name": {
      "description": "When given, the name in the address: an object keeps its name",
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ]
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "enabled": {
      "default": true,
      "description": "false: the rule is not in the kernel",
      "type": "boolean"
     },
     "priority": {
      "type": "integer",
      "minimum": 29000,
      "maximum": 30999,
      "description": "Rules are asked in rising order, these before those that the box makes by itself"
     },
     "from": {
      "description": "Network the packet comes from",
      "type": "string",
      "examples": [
       "198.51.100.0/24"
      ]
     },
     "to": {
      "description": "Network the packet goes to",
      "type": "string",
      "examples": [
       "198.51.100.0/24"
      ]
     },
     "mark": {
      "description": "Mark of the packet",
      "type": "object",
      "properties": {
       "value": {
        "type": "integer",
        "minimum": 0,
        "maximum": 4294967295,
        "description": "What the mark is compared with, as far as the mask goes"
       },
       "mask": {
        "default": 4294967295,
        "description": "Bits that count",
        "type": "integer",
        "minimum": 1,
        "maximum": 4294967295
       }
      },
      "required": [
       "value"
      ],
      "additionalProperties": false
     },
     "interface": {
      "description": "Interface the packet came in by; lo: the box itself sends it",
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ]
     },
     "not": {
      "default": false,
      "description": "true: for packets that do not fit",
      "type": "boolean"
     },
     "table": {
      "default": "main",
      "description": "main, the name of a routing table, or that of an interface: its own table",
      "examples": [
       "main"
      ],
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$"
     }
    },
    "required": [
     "priority"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "priority": 29100,
      "from": "198.51.100.0/24",
      "table": "partner"
     }
    ]
   },
   "NamedRouteInput": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the route"
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "enabled": {
      "default": true,
      "description": "false: the route is not in the kernel",
      "type": "boolean"
     },
     "type": {
      "default": "unicast",
      "description": "unicast leads on; the others drop packets: silently, as unreachable, or as forbidden",
      "type": "string",
      "enum": [
       "unicast",
       "blackhole",
       "unreachable",
       "prohibit"
      ]
     },
     "destination": {
      "description": "Network the route leads to; 0.0.0.0/0 or ::/0 for a default route",
      "type": "string",
      "examples": [
       "198.51.100.0/24"
      ]
     },
     "via": {
      "description": "Address of the router",
      "type": "string",
      "examples": [
       "192.0.2.10"
      ]
     },
     "interface": {
      "description": "Interface the packets leave by",
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ]
     },
     "metric": {
      "default": 0,
      "description": "The lower of two routes to one network is used; in IPv6, 0 stands for 1024",
      "type": "integer",
      "minimum": 0,
      "maximum": 4294967295
     },
     "table": {
      "default": "main",
      "description": "main, the name of a routing table, or that of an interface: its own table",
      "examples": [
       "main"
      ],
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$"
     },
     "source": {
      "description": "Address the box sends from, where the sender names none",
      "type": "string",
      "examples": [
       "192.0.2.10"
      ]
     },
     "mtu": {
      "description": "Bytes",
      "type": "integer",
      "minimum": 68,
      "maximum": 65535
     },
     "onlink": {
      "default": false,
      "description": "true: the router is on the link, though no network of the interface holds it",
      "type": "boolean"
     }
    },
    "required": [
     "name",
     "destination"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "partner",
      "destination": "203.0.113.0/24",
      "via": "192.0.2.254",
      "interface": "eth0"
     }
    ]
   },
   "RouteReplacementInput": {
    "type": "object",
    "properties": {
     "name": {
      "description": "When given, the name in the address: an object keeps its name",
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ]
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "enabled": {
      "default": true,
      "description": "false: the route is not in the kernel",
      "type": "boolean"
     },
     "type": {
      "default": "unicast",
      "description": "unicast leads on; the others drop packets: silently, as unreachable, or as forbidden",
      "type": "string",
      "enum": [
       "unicast",
       "blackhole",
       "unreachable",
       "prohibit"
      ]
     },
     "destination": {
      "description": "Network the route leads to; 0.0.0.0/0 or ::/0 for a default route",
      "type": "string",
      "examples": [
       "198.51.100.0/24"
      ]
     },
     "via": {
      "description": "Address of the router",
      "type": "string",
      "examples": [
       "192.0.2.10"
      ]
     },
     "interface": {
      "description": "Interface the packets leave by",
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ]
     },
     "metric": {
      "default": 0,
      "description": "The lower of two routes to one network is used; in IPv6, 0 stands for 1024",
      "type": "integer",
      "minimum": 0,
      "maximum": 4294967295
     },
     "table": {
      "default": "main",
      "description": "main, the name of a routing table, or that of an interface: its own table",
      "examples": [
       "main"
      ],
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$"
     },
     "source": {
      "description": "Address the box sends from, where the sender names none",
      "type": "string",
      "examples": [
       "192.0.2.10"
      ]
     },
     "mtu": {
      "description": "Bytes",
      "type": "integer",
      "minimum": 68,
      "maximum": 65535
     },
     "onlink": {
      "default": false,
      "description": "true: the router is on the link, though no network of the interface holds it",
      "type": "boolean"
     }
    },
    "required": [
     "destination"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "destination": "203.0.113.0/24",
      "via": "192.0.2.254",
      "interface": "eth0"
     }
    ]
   },
   "NewCertificateInput": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the certificate"
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "certificate": {
      "description": "PEM: the server's certificate, then each authority that signed the one before; none while a request awaits its answer",
      "type": "string",
      "maxLength": 65536,
      "examples": [
       "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n"
      ]
     },
     "key": {
      "description": "PEM, without a passphrase; left out when replacing: stays",
      "type": "string",
      "maxLength": 16384,
      "examples": [
       "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49Ag==\n-----END PRIVATE KEY-----\n"
      ]
     },
     "request": {
      "description": "PEM (PKCS #10), for keys made on the box: what the authority signs",
      "type": "string",
      "maxLength": 16384,
      "examples": [
       "-----BEGIN CERTIFICATE REQUEST-----\nMIHeMIGFAgEAMBQxEjAQBg==\n-----END CERTIFICATE REQUEST-----\n"
      ]
     }
    },
    "required": [
     "name"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "management",
      "description": "signed by our own authority",
      "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n",
      "key": "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49Ag==\n-----END PRIVATE KEY-----\n"
     }
    ]
   },
   "CertificateReplacementInput": {
    "type": "object",
    "properties": {
     "name": {
      "description": "When given, the name in the address: an object keeps its name",
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ]
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "certificate": {
      "description": "PEM: the server's certificate, then each authority that signed the one before; none while a request awaits its answer",
      "type": "string",
      "maxLength": 65536,
      "examples": [
       "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n"
      ]
     },
     "key": {
      "description": "PEM, without a passphrase; left out when replacing: stays",
      "type": "string",
      "maxLength": 16384,
      "examples": [
       "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49Ag==\n-----END PRIVATE KEY-----\n"
      ]
     },
     "request": {
      "description": "PEM (PKCS #10), for keys made on the box: what the authority signs",
      "type": "string",
      "maxLength": 16384,
      "examples": [
       "-----BEGIN CERTIFICATE REQUEST-----\nMIHeMIGFAgEAMBQxEjAQBg==\n-----END CERTIFICATE REQUEST-----\n"
      ]
     }
    },
    "additionalProperties": false,
    "examples": [
     {
      "description": "signed by our own authority",
      "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n",
      "key": "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49Ag==\n-----END PRIVATE KEY-----\n"
     }
    ]
   },
   "Bindings": {
    "type": "object",
    "properties": {
     "farms": {
      "description": "Names of farms; * stands for any characters",
      "maxItems": 256,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9_.*-]{1,63}$"
      }
     },
     "interfaces": {
      "description": "Names of interfaces; * stands for any characters",
      "maxItems": 256,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9_.*-]{1,63}$"
      }
     },
     "certificates": {
      "description": "Names of certificates; * stands for any characters",
      "maxItems": 256,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9_.*-]{1,63}$"
      }
     }
    },
    "additionalProperties": false,
    "examples": [
     {
      "farms": [
       "web",
       "shop-*"
      ]
     }
    ]
   },
   "Role": {
    "type": "object",
    "properties": {
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "permissions": {
      "default": [],
      "description": "Each resource:verb; either half may be *",
      "maxItems": 256,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^(?:\\*|[a-z][a-z-]{0,31}):(?:\\*|[a-z][a-z-]{0,31})$",
       "examples": [
        "farms:update"
       ]
      }
     },
     "bindings": {
      "default": {},
      "description": "Only these objects, by kind; a kind left out is not bound. In a bound role the resource * stands for the bound kinds",
      "$ref": "#/components/schemas/Bindings"
     }
    },
    "required": [
     "description",
     "permissions",
     "bindings"
    ],
    "additionalProperties": false
   },
   "Group": {
    "type": "object",
    "properties": {
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "roles": {
      "default": [],
      "description": "Held by every member",
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      }
     }
    },
    "required": [
     "description",
     "roles"
    ],
    "additionalProperties": false
   },
   "AccessSettings": {
    "type": "object",
    "properties": {
     "sessions": {
      "description": "Limits of every session, those that are open too",
      "type": "object",
      "properties": {
       "idleMinutes": {
        "default": 30,
        "description": "A session ends after this time without a request",
        "type": "integer",
        "minimum": 1,
        "maximum": 1440
       },
       "absoluteMinutes": {
        "default": 720,
        "description": "A session ends after this time at the latest",
        "type": "integer",
        "minimum": 5,
        "maximum": 43200
       }
      },
      "required": [
       "idleMinutes",
       "absoluteMinutes"
      ],
      "additionalProperties": false
     },
     "secondFactor": {
      "description": "Of whom a second factor is required; others may have one",
      "type": "object",
      "properties": {
       "roles": {
        "default": [],
        "description": "Whoever holds one of these needs a second factor",
        "maxItems": 64,
        "type": "array",
        "items": {
         "type": "string",
         "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
         "examples": [
          "web"
         ]
        }
       }
      },
      "required": [
       "roles"
      ],
      "additionalProperties": false
     }
    },
    "required": [
     "sessions",
     "secondFactor"
    ],
    "additionalProperties": false
   },
   "GroupRoles": {
    "type": "object",
    "properties": {
     "group": {
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "DN of the group"
     },
     "roles": {
      "minItems": 1,
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      },
      "description": "Held by its members"
     }
    },
    "required": [
     "group",
     "roles"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "group": "cn=network,ou=groups,dc=example,dc=com",
      "roles": [
       "operator"
      ]
     }
    ]
   },
   "AuditTarget": {
    "type": "object",
    "properties": {
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "enabled": {
      "default": true,
      "description": "false: nothing is sent, and the place is kept",
      "type": "boolean"
     },
     "host": {
      "anyOf": [
       {
        "examples": [
         "192.0.2.10"
        ],
        "type": "string"
       },
       {
        "type": "string",
        "maxLength": 253,
        "pattern": "^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
        "examples": [
         "lb1.example.com"
        ]
       }
      ],
      "description": "Of the syslog server"
     },
     "port": {
      "description": "Left out: 6514 for tls, 601 for tcp, 514 for udp",
      "type": "integer",
      "minimum": 1,
      "maximum": 65535,
      "examples": [
       80
      ]
     },
     "transport": {
      "default": "tls",
      "description": "tls: RFC 5425; tcp: RFC 6587 with octet counting; udp: RFC 5426, where what is lost is not noticed",
      "type": "string",
      "enum": [
       "tls",
       "tcp",
       "udp"
      ]
     },
     "caCertificates": {
      "description": "For tls: certificates of the authorities that may have signed the server's (PEM); left out: the public ones",
      "type": "string",
      "maxLength": 65536
     },
     "pinnedCertificates": {
      "default": [],
      "description": "For tls: SHA-256 of the server's own certificate: these and no others, whoever signed them",
      "maxItems": 16,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}$"
      }
     },
     "serverName": {
      "description": "For tls: the name in the certificate, where it is not the host",
      "type": "string",
      "maxLength": 253,
      "pattern": "^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
      "examples": [
       "lb1.example.com"
      ]
     },
     "facility": {
      "default": "audit",
      "description": "Of RFC 5424",
      "type": "string",
      "enum": [
       "kern",
       "user",
       "daemon",
       "auth",
       "syslog",
       "authpriv",
       "audit",
       "alert",
       "local0",
       "local1",
       "local2",
       "local3",
       "local4",
       "local5",
       "local6",
       "local7"
      ]
     },
     "format": {
      "default": "json",
      "description": "After the structured data. json: the record as it stands in the log, so that its hash can be checked; text: one sentence",
      "type": "string",
      "enum": [
       "json",
       "text"
      ]
     },
     "enterpriseNumber": {
      "default": 32473,
      "description": "Of the SD-ID steelyard@…; the default is the one for examples (RFC 5612)",
      "type": "integer",
      "minimum": 1,
      "maximum": 4294967295
     },
     "maxBytes": {
      "default": 8192,
      "description": "Greatest message the server takes; for udp 2048. A record that is longer goes without its diffs",
      "type": "integer",
      "minimum": 2048,
      "maximum": 262144
     }
    },
    "required": [
     "description",
     "enabled",
     "host",
     "transport",
     "pinnedCertificates",
     "facility",
     "format",
     "enterpriseNumber",
     "maxBytes"
    ],
    "additionalProperties": false
   },
   "BackupSchedule": {
    "type": "object",
    "properties": {
     "enabled": {
      "default": false,
      "description": "Make backups by the clock",
      "type": "boolean"
     },
     "time": {
      "default": "03:00",
      "description": "Time of day, in UTC; one that was missed while the box was off is made up for",
      "examples": [
       "03:00"
      ],
      "type": "string",
      "pattern": "^(?:[01]\\d|2[0-3]):[0-5]\\d$"
     },
     "days": {
      "default": [],
      "description": "Days of the week; none: every day",
      "maxItems": 7,
      "type": "array",
      "items": {
       "type": "string",
       "enum": [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday"
       ]
      }
     },
     "keep": {
      "default": 7,
      "description": "How many of them are kept; those made by hand are not counted, and stay",
      "type": "integer",
      "minimum": 1,
      "maximum": 100
     },
     "recipients": {
      "default": [],
      "maxItems": 8,
      "type": "array",
      "items": {
       "type": "string",
       "examples": [
        "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
       ]
      },
      "description": "Public keys of age (age1…) the backup is encrypted for; the secret key of any of them opens it"
     },
     "identity": {
      "default": true,
      "description": "With the certificate and key of the API and the host keys of SSH",
      "type": "boolean"
     },
     "history": {
      "default": false,
      "description": "With the generations of before, to look up",
      "type": "boolean"
     }
    },
    "required": [
     "enabled",
     "time",
     "days",
     "keep",
     "recipients",
     "identity",
     "history"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "enabled": true,
      "time": "03:00",
      "days": [
       "sunday"
      ],
      "keep": 7,
      "recipients": [
       "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
      ],
      "identity": true,
      "history": false
     }
    ]
   },
   "BackupNic": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "maxLength": 32,
      "description": "Name in the kernel"
     },
     "mac": {
      "description": "The address the card was made with",
      "type": "string",
      "maxLength": 64
     },
     "driver": {
      "description": "Kernel driver",
      "type": "string",
      "maxLength": 64
     },
     "bus": {
      "description": "Where the card sits",
      "type": "string",
      "maxLength": 128
     }
    },
    "required": [
     "name"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "eth0",
      "mac": "52:54:00:12:34:56",
      "driver": "virtio_net"
     }
    ]
   },
   "BackupManifest": {
    "type": "object",
    "properties": {
     "product": {
      "type": "string",
      "const": "steelyard",
      "description": "steelyard"
     },
     "format": {
      "type": "integer",
      "minimum": 1,
      "description": "Of the backup file"
     },
     "version": {
      "type": "string",
      "maxLength": 64,
      "description": "Of the appliance that made it"
     },
     "schemaVersion": {
      "type": "integer",
      "minimum": 1,
      "description": "Of the configuration in it"
     },
     "hostname": {
      "type": "string",
      "maxLength": 253,
      "description": "Name of the box that made it"
     },
     "time": {
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
      "description": "When it was made"
     },
     "generation": {
      "type": "integer",
      "minimum": 0,
      "description": "The generation of the configuration that is in it"
     },
     "digest": {
      "type": "string",
      "maxLength": 128,
      "description": "SHA-256 of the configuration's files"
     },
     "identity": {
      "type": "boolean",
      "description": "Certificate and key of the API and host keys of SSH are in it"
     },
     "history": {
      "type": "integer",
      "minimum": 0,
      "description": "How many older generations are in it"
     },
     "nics": {
      "maxItems": 1024,
      "type": "array",
      "items": {
       "$ref": "#/components/schemas/BackupNic"
      },
      "description": "Network cards of the box that made it"
     }
    },
    "required": [
     "product",
     "format",
     "version",
     "schemaVersion",
     "hostname",
     "time",
     "generation",
     "digest",
     "identity",
     "history",
     "nics"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "product": "steelyard",
      "format": 1,
      "version": "0.1.0",
      "schemaVersion": 2,
      "hostname": "lb1",
      "time": "2026-01-02T03:04:05.000Z",
      "generation": 7,
      "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
      "identity": true,
      "history": 0,
      "nics": [
       {
        "name": "eth0",
        "mac": "52:54:00:12:34:56",
        "driver": "virtio_net",
        "bus": "0000:00:03.0"
       }
      ]
     }
    ]
   },
   "L4Backend": {
    "type": "object",
    "properties": {
     "address": {
      "examples": [
       "192.0.2.10"
      ],
      "description": "Address of the server; of the same family as the virtual addresses",
      "type": "string"
     },
     "port": {
      "description": "Port on the server; left out, the port the client asked for",
      "type": "integer",
      "minimum": 1,
      "maximum": 65535,
      "examples": [
       80
      ]
     },
     "weight": {
      "default": 1,
      "description": "Share of new connections, next to the weights of the other backends",
      "type": "integer",
      "minimum": 1,
      "maximum": 255
     },
     "priority": {
      "default": 1,
      "description": "1 is used first; for each backend in use that is not up, the next priority is used as well",
      "type": "integer",
      "minimum": 1,
      "maximum": 9
     },
     "state": {
      "default": "up",
      "description": "up: takes connections; maintenance: keeps the ones it has, gets no new one; down: loses them all",
      "type": "string",
      "enum": [
       "up",
       "maintenance",
       "down"
      ]
     }
    },
    "required": [
     "address",
     "weight",
     "priority",
     "state"
    ],
    "additionalProperties": false
   },
   "L4Farm": {
    "type": "object",
    "properties": {
     "profile": {
      "type": "string",
      "const": "l4xnat",
      "description": "Kind of farm"
     },
     "enabled": {
      "default": true,
      "description": "A farm that is not enabled opens no port",
      "type": "boolean"
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "virtualAddresses": {
      "minItems": 1,
      "maxItems": 64,
      "type": "array",
      "items": {
       "examples": [
        "192.0.2.10"
       ],
       "type": "string"
      },
      "description": "Addresses clients connect to, all of one family; the box must own them"
     },
     "ports": {
      "minItems": 1,
      "maxItems": 64,
      "type": "array",
      "items": {
       "examples": [
        "80",
        "8000-8010"
       ],
       "type": "string"
      },
      "description": "Ports and ranges of ports clients connect to"
     },
     "protocol": {
      "default": "tcp",
      "description": "Protocol of layer 4",
      "type": "string",
      "enum": [
       "tcp",
       "udp"
      ]
     },
     "natType": {
      "default": "nat",
      "description": "nat: backends see the box's address; dnat: they see the client's, and must route back through the box",
      "type": "string",
      "enum": [
       "nat",
       "dnat"
      ]
     },
     "algorithm": {
      "default": "weight",
      "description": "How a new connection is given a backend",
      "type": "string",
      "enum": [
       "weight",
       "round-robin",
       "hash-source-address",
       "hash-source-address-port"
      ]
     },
     "backends": {
      "default": {},
      "description": "Backends by name",
      "type": "object",
      "propertyNames": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      },
      "additionalProperties": {
       "$ref": "#/components/schemas/L4Backend"
      }
     }
    },
    "required": [
     "profile",
     "enabled",
     "description",
     "virtualAddresses",
     "ports",
     "protocol",
     "natType",
     "algorithm",
     "backends"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "profile": "l4xnat",
      "virtualAddresses": [
       "192.0.2.10"
      ],
      "ports": [
       "80"
      ],
      "backends": {
       "b1": {
        "address": "198.51.100.1",
        "port": 80,
        "weight": 1,
        "priority": 1,
        "state": "up"
       },
       "b2": {
        "address": "198.51.100.2",
        "port": 80,
        "weight": 3,
        "priority": 1,
        "state": "up"
       }
      },
      "enabled": true,
      "description": "",
      "protocol": "tcp",
      "natType": "nat",
      "algorithm": "weight"
     }
    ]
   },
   "MemberPattern": {
    "type": "object",
    "properties": {
     "name": {
      "description": "Name, with * for any characters and ? for one",
      "type": "string",
      "pattern": "^[a-zA-Z0-9_.*?-]{1,15}$"
     },
     "driver": {
      "description": "Kernel driver",
      "type": "string",
      "pattern": "^[a-z0-9_-]{1,32}$"
     },
     "speed": {
      "description": "Mbit/s; a card without carrier has none, and stays a member if it is one",
      "type": "integer",
      "minimum": 10
     },
     "bus": {
      "description": "Place on the bus, with * and ?",
      "type": "string",
      "pattern": "^[0-9a-zA-Z:.*?-]{1,32}$"
     },
     "macPrefix": {
      "description": "First bytes of the permanent MAC address",
      "type": "string",
      "pattern": "^[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){0,5}$"
     }
    },
    "additionalProperties": false,
    "examples": [
     {
      "driver": "ixgbe",
      "bus": "0000:3b:00.*"
     }
    ]
   },
   "MiiMonitoring": {
    "type": "object",
    "properties": {
     "interval": {
      "default": 100,
      "description": "Milliseconds between two looks at the carrier",
      "type": "integer",
      "minimum": 10,
      "maximum": 10000
     },
     "upDelay": {
      "default": 0,
      "description": "Milliseconds of carrier before a member is used",
      "type": "integer",
      "minimum": 0,
      "maximum": 60000
     },
     "downDelay": {
      "default": 0,
      "description": "Milliseconds without carrier before a member is not used",
      "type": "integer",
      "minimum": 0,
      "maximum": 60000
     }
    },
    "required": [
     "interval",
     "upDelay",
     "downDelay"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "interval": 100,
      "upDelay": 200,
      "downDelay": 0
     }
    ]
   },
   "ArpMonitoring": {
    "type": "object",
    "properties": {
     "interval": {
      "default": 1000,
      "description": "Milliseconds between two ARP requests",
      "type": "integer",
      "minimum": 50,
      "maximum": 60000
     },
     "targets": {
      "default": [],
      "description": "IPv4 addresses that are asked, such as the gateway",
      "maxItems": 16,
      "type": "array",
      "items": {
       "examples": [
        "192.0.2.10"
       ],
       "type": "string"
      }
     },
     "validate": {
      "default": "none",
      "description": "Members whose ARP traffic must be an answer to count",
      "type": "string",
      "enum": [
       "none",
       "active",
       "backup",
       "all"
      ]
     },
     "allTargets": {
      "default": false,
      "description": "A member needs an answer of every target",
      "type": "boolean"
     }
    },
    "required": [
     "interval",
     "targets",
     "validate",
     "allTargets"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "interval": 500,
      "targets": [
       "192.0.2.1"
      ],
      "validate": "all",
      "allTargets": false
     }
    ]
   },
   "Bond": {
    "type": "object",
    "properties": {
     "mode": {
      "default": "active-backup",
      "description": "How traffic is shared; active-backup needs nothing of the switch, 802.3ad is LACP",
      "type": "string",
      "enum": [
       "balance-rr",
       "active-backup",
       "balance-xor",
       "broadcast",
       "802.3ad",
       "balance-tlb",
       "balance-alb"
      ]
     },
     "members": {
      "default": [],
      "description": "Interfaces that belong to it; they need no settings of their own",
      "maxItems": 32,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
       "examples": [
        "nic0"
       ]
      }
     },
     "memberPattern": {
      "description": "Beside members: every card of this machine that fits",
      "$ref": "#/components/schemas/MemberPattern"
     },
     "monitor": {
      "default": "mii",
      "description": "How it is found out whether a member works: by carrier or by ARP",
      "type": "string",
      "enum": [
       "mii",
       "arp"
      ]
     },
     "mii": {
      "default": {
       "interval": 100,
       "upDelay": 0,
       "downDelay": 0
      },
      "description": "Monitoring by carrier",
      "$ref": "#/components/schemas/MiiMonitoring"
     },
     "arp": {
      "default": {
       "interval": 1000,
       "targets": [],
       "validate": "none",
       "allTargets": false
      },
      "description": "Monitoring by ARP",
      "$ref": "#/components/schemas/ArpMonitoring"
     },
     "minLinks": {
      "default": 0,
      "description": "Members that must work before the bond has carrier; 802.3ad",
      "type": "integer",
      "minimum": 0,
      "maximum": 32
     },
     "transmitHashPolicy": {
      "default": "layer2",
      "description": "What chooses the member a packet leaves by; balance-xor, 802.3ad and balance-tlb",
      "type": "string",
      "enum": [
       "layer2",
       "layer2+3",
       "layer3+4",
       "encap2+3",
       "encap3+4",
       "vlan+srcmac"
      ]
     },
     "lacpRate": {
      "default": "slow",
      "description": "The partner sends a LACPDU each 30 s (slow) or each second (fast); 802.3ad",
      "type": "string",
      "enum": [
       "slow",
       "fast"
      ]
     },
     "aggregatorSelect": {
      "default": "stable",
      "description": "Which group of members is used when there are several; 802.3ad",
      "type": "string",
      "enum": [
       "stable",
       "bandwidth",
       "count"
      ]
     },
     "primary": {
      "description": "The member that is preferred; active-backup, balance-tlb and balance-alb",
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ]
     },
     "primaryReselect": {
      "default": "always",
      "description": "When the primary takes over again: always, when it is faster, or when the active member fails",
      "type": "string",
      "enum": [
       "always",
       "better",
       "failure"
      ]
     },
     "failOverMac": {
      "default": "none",
      "description": "Whether members keep their own MAC addresses; active-backup",
      "type": "string",
      "enum": [
       "none",
       "active",
       "follow"
      ]
     },
     "gratuitousCount": {
      "default": 1,
      "description": "Gratuitous ARPs and unsolicited neighbour advertisements after a failover; active-backup, balance-tlb and balance-alb",
      "type": "integer",
      "minimum": 0,
      "maximum": 255
     }
    },
    "required": [
     "mode",
     "members",
     "monitor",
     "mii",
     "arp",
     "minLinks",
     "transmitHashPolicy",
     "lacpRate",
     "aggregatorSelect",
     "primaryReselect",
     "failOverMac",
     "gratuitousCount"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "mode": "802.3ad",
      "members": [
       "nic0",
       "nic1"
      ],
      "lacpRate": "fast",
      "transmitHashPolicy": "layer3+4",
      "monitor": "mii",
      "mii": {
       "interval": 100,
       "upDelay": 0,
       "downDelay": 0
      },
      "arp": {
       "interval": 1000,
       "targets": [],
       "validate": "none",
       "allTargets": false
      },
      "minLinks": 0,
      "aggregatorSelect": "stable",
      "primaryReselect": "always",
      "failOverMac": "none",
      "gratuitousCount": 1
     }
    ]
   },
   "Vlan": {
    "type": "object",
    "properties": {
     "parent": {
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ],
      "description": "The interface that carries the tagged frames"
     },
     "id": {
      "type": "integer",
      "minimum": 1,
      "maximum": 4094,
      "description": "VLAN id"
     },
     "protocol": {
      "default": "802.1Q",
      "description": "Kind of tag; 802.1ad is the outer tag of a provider (QinQ)",
      "type": "string",
      "enum": [
       "802.1Q",
       "802.1ad"
      ]
     }
    },
    "required": [
     "parent",
     "id",
     "protocol"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "parent": "nic0",
      "id": 100,
      "protocol": "802.1Q"
     }
    ]
   },
   "Bridge": {
    "type": "object",
    "properties": {
     "members": {
      "default": [],
      "description": "Interfaces that belong to it; they need no settings of their own",
      "maxItems": 32,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
       "examples": [
        "nic0"
       ]
      }
     },
     "stp": {
      "default": false,
      "description": "Spanning tree (IEEE 802.1D)",
      "type": "boolean"
     }
    },
    "required": [
     "members",
     "stp"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "members": [
       "nic2",
       "nic3"
      ],
      "stp": true
     }
    ]
   },
   "Ipv4Settings": {
    "type": "object",
    "properties": {
     "method": {
      "default": "none",
      "description": "Where the addresses come from",
      "type": "string",
      "enum": [
       "none",
       "dhcp",
       "static"
      ]
     },
     "addresses": {
      "default": [],
      "description": "For method static; the first of a network is the source of what the box sends there",
      "maxItems": 64,
      "type": "array",
      "items": {
       "examples": [
        "192.0.2.10/24"
       ],
       "type": "string"
      }
     },
     "gateway": {
      "description": "Default gateway reached through this interface",
      "examples": [
       "192.0.2.10"
      ],
      "type": "string"
     },
     "defaultRoute": {
      "description": "Left out: true. false: the gateway serves answers to what came in by this interface, and is not the box's default gateway",
      "type": "boolean"
     }
    },
    "required": [
     "method",
     "addresses"
    ],
    "additionalProperties": false
   },
   "Ipv6Settings": {
    "type": "object",
    "properties": {
     "method": {
      "default": "none",
      "description": "Where the addresses come from; automatic: router advertisements and DHCPv6; slaac, dhcp: one of them",
      "type": "string",
      "enum": [
       "none",
       "automatic",
       "slaac",
       "dhcp",
       "static"
      ]
     },
     "addresses": {
      "default": [],
      "description": "For method static; the first of a network is the source of what the box sends there",
      "maxItems": 64,
      "type": "array",
      "items": {
       "examples": [
        "192.0.2.10/24"
       ],
       "type": "string"
      }
     },
     "gateway": {
      "description": "Default gateway reached through this interface",
      "examples": [
       "192.0.2.10"
      ],
      "type": "string"
     },
     "defaultRoute": {
      "description": "Left out: true. false: the gateway serves answers to what came in by this interface, and is not the box's default gateway",
      "type": "boolean"
     }
    },
    "required": [
     "method",
     "addresses"
    ],
    "additionalProperties": false,
    "description": "The gateway comes with router advertisements, unless the method is static"
   },
   "Interface": {
    "type": "object",
    "properties": {
     "kind": {
      "default": "ethernet",
      "description": "ethernet: a network card; the others are made by the box",
      "type": "string",
      "enum": [
       "ethernet",
       "bond",
       "vlan",
       "bridge",
       "dummy"
      ]
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "alias": {
      "default": "",
      "description": "A name for people, which the kernel keeps with the interface (ifAlias)",
      "type": "string",
      "pattern": "^[\\x20-\\x7e]{0,64}$"
     },
     "enabled": {
      "default": true,
      "description": "Administratively up",
      "type": "boolean"
     },
     "mtu": {
      "description": "Bytes; left out, the driver's own",
      "type": "integer",
      "minimum": 1280,
      "maximum": 65535
     },
     "bond": {
      "description": "Of kind bond",
      "$ref": "#/components/schemas/Bond"
     },
     "vlan": {
      "description": "Of kind vlan",
      "$ref": "#/components/schemas/Vlan"
     },
     "bridge": {
      "description": "Of kind bridge",
      "$ref": "#/components/schemas/Bridge"
     },
     "ipv4": {
      "default": {
       "method": "none",
       "addresses": []
      },
      "description": "IPv4 on this interface",
      "$ref": "#/components/schemas/Ipv4Settings"
     },
     "ipv6": {
      "default": {
       "method": "none",
       "addresses": []
      },
      "description": "IPv6 on this interface",
      "$ref": "#/components/schemas/Ipv6Settings"
     }
    },
    "required": [
     "kind",
     "description",
     "alias",
     "enabled",
     "ipv4",
     "ipv6"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "kind": "ethernet",
      "description": "to the servers",
      "enabled": true,
      "mtu": 1500,
      "ipv4": {
       "method": "static",
       "addresses": [
        "192.0.2.5/24"
       ],
       "gateway": "192.0.2.1"
      },
      "ipv6": {
       "method": "none",
       "addresses": []
      },
      "alias": ""
     }
    ]
   },
   "VirtualAddress": {
    "type": "object",
    "properties": {
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "enabled": {
      "default": true,
      "description": "false: the address is not on the box",
      "type": "boolean"
     },
     "interface": {
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ],
      "description": "Interface the address is put on"
     },
     "address": {
      "examples": [
       "192.0.2.10/24"
      ],
      "description": "The address with its prefix length",
      "type": "string"
     }
    },
    "required": [
     "description",
     "enabled",
     "interface",
     "address"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "description": "",
      "enabled": true,
      "interface": "nic0",
      "address": "192.0.2.10/24"
     }
    ]
   },
   "RoutingTable": {
    "type": "object",
    "properties": {
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "id": {
      "type": "integer",
      "minimum": 1,
      "maximum": 999,
      "description": "Number of the table in the kernel; 253 to 255 are the kernel's own"
     }
    },
    "required": [
     "description",
     "id"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "description": "to the partner",
      "id": 100
     }
    ]
   },
   "RoutingRule": {
    "type": "object",
    "properties": {
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "enabled": {
      "default": true,
      "description": "false: the rule is not in the kernel",
      "type": "boolean"
     },
     "priority": {
      "type": "integer",
      "minimum": 29000,
      "maximum": 30999,
      "description": "Rules are asked in rising order, these before those that the box makes by itself"
     },
     "from": {
      "description": "Network the packet comes from",
      "examples": [
       "198.51.100.0/24"
      ],
      "type": "string"
     },
     "to": {
      "description": "Network the packet goes to",
      "examples": [
       "198.51.100.0/24"
      ],
      "type": "string"
     },
     "mark": {
      "description": "Mark of the packet",
      "type": "object",
      "properties": {
       "value": {
        "type": "integer",
        "minimum": 0,
        "maximum": 4294967295,
        "description": "What the mark is compared with, as far as the mask goes"
       },
       "mask": {
        "default": 4294967295,
        "description": "Bits that count",
        "type": "integer",
        "minimum": 1,
        "maximum": 4294967295
       }
      },
      "required": [
       "value",
       "mask"
      ],
      "additionalProperties": false
     },
     "interface": {
      "description": "Interface the packet came in by; lo: the box itself sends it",
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ]
     },
     "not": {
      "default": false,
      "description": "true: for packets that do not fit",
      "type": "boolean"
     },
     "table": {
      "default": "main",
      "description": "main, the name of a routing table, or that of an interface: its own table",
      "examples": [
       "main"
      ],
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$"
     }
    },
    "required": [
     "description",
     "enabled",
     "priority",
     "not",
     "table"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "priority": 29100,
      "from": "198.51.100.0/24",
      "table": "partner",
      "description": "",
      "enabled": true,
      "not": false
     }
    ]
   },
   "RoutingRoute": {
    "type": "object",
    "properties": {
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "enabled": {
      "default": true,
      "description": "false: the route is not in the kernel",
      "type": "boolean"
     },
     "type": {
      "default": "unicast",
      "description": "unicast leads on; the others drop packets: silently, as unreachable, or as forbidden",
      "type": "string",
      "enum": [
       "unicast",
       "blackhole",
       "unreachable",
       "prohibit"
      ]
     },
     "destination": {
      "examples": [
       "198.51.100.0/24"
      ],
      "description": "Network the route leads to; 0.0.0.0/0 or ::/0 for a default route",
      "type": "string"
     },
     "via": {
      "description": "Address of the router",
      "examples": [
       "192.0.2.10"
      ],
      "type": "string"
     },
     "interface": {
      "description": "Interface the packets leave by",
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ]
     },
     "metric": {
      "default": 0,
      "description": "The lower of two routes to one network is used; in IPv6, 0 stands for 1024",
      "type": "integer",
      "minimum": 0,
      "maximum": 4294967295
     },
     "table": {
      "default": "main",
      "description": "main, the name of a routing table, or that of an interface: its own table",
      "examples": [
       "main"
      ],
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$"
     },
     "source": {
      "description": "Address the box sends from, where the sender names none",
      "examples": [
       "192.0.2.10"
      ],
      "type": "string"
     },
     "mtu": {
      "description": "Bytes",
      "type": "integer",
      "minimum": 68,
      "maximum": 65535
     },
     "onlink": {
      "default": false,
      "description": "true: the router is on the link, though no network of the interface holds it",
      "type": "boolean"
     }
    },
    "required": [
     "description",
     "enabled",
     "type",
     "destination",
     "metric",
     "table",
     "onlink"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "destination": "203.0.113.0/24",
      "via": "192.0.2.254",
      "interface": "eth0",
      "table": "main",
      "description": "",
      "enabled": true,
      "type": "unicast",
      "metric": 0,
      "onlink": false
     }
    ]
   },
   "NtpServer": {
    "type": "object",
    "properties": {
     "address": {
      "anyOf": [
       {
        "examples": [
         "192.0.2.10"
        ],
        "type": "string"
       },
       {
        "type": "string",
        "maxLength": 253,
        "pattern": "^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
        "examples": [
         "lb1.example.com"
        ]
       }
      ],
      "description": "Address or name"
     },
     "port": {
      "description": "UDP port of NTP; left out, 123, or what NTS negotiates",
      "type": "integer",
      "minimum": 1,
      "maximum": 65535,
      "examples": [
       80
      ]
     },
     "nts": {
      "default": false,
      "description": "Authenticate it by Network Time Security (RFC 8915); it must be given by name, as in its certificate",
      "type": "boolean"
     },
     "prefer": {
      "default": false,
      "description": "Before those that are as good",
      "type": "boolean"
     }
    },
    "required": [
     "address",
     "nts",
     "prefer"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "address": "time.example.com",
      "nts": true,
      "prefer": false
     }
    ]
   },
   "HostsEntry": {
    "type": "object",
    "properties": {
     "address": {
      "examples": [
       "192.0.2.10"
      ],
      "description": "What the names stand for",
      "type": "string"
     },
     "names": {
      "minItems": 1,
      "maxItems": 16,
      "type": "array",
      "items": {
       "type": "string",
       "maxLength": 253,
       "pattern": "^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
       "examples": [
        "lb1.example.com"
       ]
      },
      "description": "The first one is the canonical name"
     }
    },
    "required": [
     "address",
     "names"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "address": "192.0.2.80",
      "names": [
       "files.example.com",
       "files"
      ]
     }
    ]
   },
   "ProxySettings": {
    "type": "object",
    "properties": {
     "url": {
      "description": "HTTP proxy (CONNECT for HTTPS); left out, servers are asked directly",
      "type": "string"
     },
     "bypass": {
      "default": [],
      "description": "Asked directly: domains with all below them, addresses, networks; loopback always is",
      "maxItems": 32,
      "type": "array",
      "items": {
       "type": "string",
       "maxLength": 253,
       "pattern": "^[A-Za-z0-9.:_-]+(?:\\/\\d{1,3})?$"
      }
     }
    },
    "required": [
     "bypass"
    ],
    "additionalProperties": false
   },
   "System": {
    "type": "object",
    "properties": {
     "hostname": {
      "default": "steelyard",
      "description": "Name of the box, alone or with its domain",
      "type": "string",
      "maxLength": 253,
      "pattern": "^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
      "examples": [
       "lb1.example.com"
      ]
     },
     "dns": {
      "default": {
       "servers": [],
       "search": [],
       "dnssec": "no",
       "overTls": "no"
      },
      "description": "Resolvers; DHCP may add its own",
      "type": "object",
      "properties": {
       "servers": {
        "default": [],
        "description": "Resolvers, asked in this order: address, or address#name with the name in its TLS certificate",
        "maxItems": 8,
        "type": "array",
        "items": {
         "examples": [
          "192.0.2.53"
         ],
         "type": "string"
        }
       },
       "search": {
        "default": [],
        "description": "Domains tried with names that have none",
        "maxItems": 8,
        "type": "array",
        "items": {
         "type": "string",
         "maxLength": 253,
         "pattern": "^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
         "examples": [
          "lb1.example.com"
         ]
        }
       },
       "dnssec": {
        "default": "no",
        "description": "Check signatures: not; where the resolver can (an attacker may say that it cannot); always",
        "type": "string",
        "enum": [
         "no",
         "allow-downgrade",
         "yes"
        ]
       },
       "overTls": {
        "default": "no",
        "description": "Ask over TLS (RFC 7858): not; where the resolver can, unchecked; always, with its certificate",
        "type": "string",
        "enum": [
         "no",
         "opportunistic",
         "yes"
        ]
       }
      },
      "required": [
       "servers",
       "search",
       "dnssec",
       "overTls"
      ],
      "additionalProperties": false
     },
     "ntp": {
      "default": {
       "servers": []
      },
      "description": "Time servers; none: the clock is not set from the network",
      "type": "object",
      "properties": {
       "servers": {
        "default": [],
        "description": "Addresses or names of NTP servers, or objects of them with nts and prefer",
        "maxItems": 8,
        "type": "array",
        "items": {
         "anyOf": [
          {
           "examples": [
            "192.0.2.10"
           ],
           "type": "string"
          },
          {
           "type": "string",
           "maxLength": 253,
           "pattern": "^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
           "examples": [
            "lb1.example.com"
           ]
          },
          {
           "$ref": "#/components/schemas/NtpServer"
          }
         ]
        }
       }
      },
      "required": [
       "servers"
      ],
      "additionalProperties": false
     },
     "timeZone": {
      "default": "UTC",
      "description": "Of logs and shells on the box; the API speaks UTC",
      "type": "string",
      "examples": [
       "Europe/Berlin"
      ]
     },
     "hosts": {
      "default": [],
      "description": "Names the box knows without DNS, as in hosts(5)",
      "maxItems": 256,
      "type": "array",
      "items": {
       "$ref": "#/components/schemas/HostsEntry"
      }
     },
     "proxy": {
      "default": {
       "bypass": []
      },
      "description": "How the box itself reaches web servers; farms are not affected",
      "$ref": "#/components/schemas/ProxySettings"
     },
     "management": {
      "default": {
       "interfaces": [],
       "port": 444
      },
      "description": "Where the box is managed",
      "type": "object",
      "properties": {
       "interfaces": {
        "default": [],
        "description": "Interfaces on which the API and SSH answer; on all others they are closed",
        "maxItems": 64,
        "type": "array",
        "items": {
         "type": "string",
         "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
         "examples": [
          "nic0"
         ]
        }
       },
       "port": {
        "default": 444,
        "description": "Port of the API and the web console",
        "type": "integer",
        "minimum": 1,
        "maximum": 65535,
        "examples": [
         80
        ]
       },
       "certificate": {
        "description": "Name of the certificate that the API shows; none: one the box has made and signed itself",
        "type": "string",
        "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
        "examples": [
         "web"
        ]
       }
      },
      "required": [
       "interfaces",
       "port"
      ],
      "additionalProperties": false
     },
     "console": {
      "default": {
       "passwordReset": true
      },
      "description": "VGA and serial console of the box",
      "type": "object",
      "properties": {
       "passwordReset": {
        "default": true,
        "description": "Whoever is at the console may set a new administrator's password in the first minutes after a start",
        "type": "boolean"
       }
      },
      "required": [
       "passwordReset"
      ],
      "additionalProperties": false
     },
     "ssh": {
      "default": {
       "enabled": false,
       "port": 22,
       "passwordAuthentication": false
      },
      "description": "The shell of administrators",
      "type": "object",
      "properties": {
       "enabled": {
        "default": false,
        "description": "SSH answers on the management interfaces",
        "type": "boolean"
       },
       "port": {
        "default": 22,
        "description": "TCP port",
        "type": "integer",
        "minimum": 1,
        "maximum": 65535,
        "examples": [
         80
        ]
       },
       "passwordAuthentication": {
        "default": false,
        "description": "Keys alone when false",
        "type": "boolean"
       }
      },
      "required": [
       "enabled",
       "port",
       "passwordAuthentication"
      ],
      "additionalProperties": false
     }
    },
    "required": [
     "hostname",
     "dns",
     "ntp",
     "timeZone",
     "hosts",
     "proxy",
     "management",
     "console",
     "ssh"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "hostname": "lb1.example.com",
      "dns": {
       "servers": [
        "192.0.2.53"
       ],
       "search": [
        "example.com"
       ],
       "dnssec": "no",
       "overTls": "no"
      },
      "ntp": {
       "servers": [
        "192.0.2.123",
        {
         "address": "time.example.com",
         "nts": true,
         "prefer": false
        }
       ]
      },
      "timeZone": "Europe/Berlin",
      "hosts": [
       {
        "address": "192.0.2.80",
        "names": [
         "files.example.com"
        ]
       }
      ],
      "proxy": {
       "url": "http://proxy.example.com:3128",
       "bypass": [
        "example.com"
       ]
      },
      "management": {
       "interfaces": [
        "nic0"
       ],
       "port": 444
      },
      "console": {
       "passwordReset": true
      },
      "ssh": {
       "enabled": true,
       "port": 22,
       "passwordAuthentication": false
      }
     }
    ]
   },
   "AuditRecord": {
    "type": "object",
    "properties": {
     "sequence": {
      "type": "integer",
      "description": "Counts up by one, over all files"
     },
     "time": {
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
      "description": "RFC 3339 with milliseconds, UTC"
     },
     "user": {
      "type": "string",
      "description": "Who; empty for nobody that is known"
     },
     "roles": {
      "description": "The roles the user acted with",
      "type": "array",
      "items": {
       "type": "string"
      }
     },
     "means": {
      "type": "string",
      "description": "How the user was known: session, api-key:<prefix>, local, console, agent, none"
     },
     "source": {
      "type": "string",
      "description": "Address of the client, or local, console, answer-file, agent"
     },
     "requestId": {
      "description": "Also in the answer and in the journal",
      "type": "string"
     },
     "method": {
      "description": "Of the request",
      "type": "string"
     },
     "operation": {
      "type": "string",
      "description": "The operationId of the API, or what the agent did by itself"
     },
     "object": {
      "type": "string",
      "description": "Such as farms/web"
     },
     "result": {
      "type": "string",
      "enum": [
       "done",
       "refused",
       "failed"
      ],
      "description": "refused: nothing changed; failed: it was tried and taken back, or went wrong"
     },
     "status": {
      "description": "The HTTP status",
      "type": "integer"
     },
     "code": {
      "description": "The kind of error",
      "type": "string"
     },
     "message": {
      "description": "What was done, or why not",
      "type": "string"
     },
     "problems": {
      "description": "Each offending field of a refused change",
      "type": "array",
      "items": {
       "type": "object",
       "properties": {
        "path": {
         "type": "string",
         "description": "Of the offending field, such as farms.web.ports"
        },
        "message": {
         "type": "string",
         "description": "What is expected"
        }
       },
       "required": [
        "path",
        "message"
       ],
       "additionalProperties": false
      }
     },
     "generation": {
      "description": "The generation that was current afterwards",
      "type": "integer"
     },
     "changes": {
      "description": "Unified diffs of what changed, secrets hidden",
      "type": "array",
      "items": {
       "type": "object",
       "properties": {
        "object": {
         "type": "string",
         "description": "Such as farms/web"
        },
        "change": {
         "type": "string",
         "description": "added, removed or changed"
        },
        "text": {
         "type": "string",
         "description": "Unified diff; empty when the diffs of the record are too long"
        }
       },
       "required": [
        "object",
        "change",
        "text"
       ],
       "additionalProperties": false
      }
     },
     "repeated": {
      "description": "So many more like this one came within the minute and were only counted",
      "type": "integer"
     },
     "removed": {
      "description": "The last record that retention removed",
      "type": "object",
      "properties": {
       "sequence": {
        "type": "integer",
        "description": "Its number"
       },
       "hash": {
        "type": "string",
        "description": "Its hash"
       }
      },
      "required": [
       "sequence",
       "hash"
      ],
      "additionalProperties": false
     },
     "previous": {
      "type": "string",
      "description": "hash of the record before; 64 zeros for the first"
     },
     "hash": {
      "type": "string",
      "description": "SHA-256 of this line without this member"
     }
    },
    "required": [
     "sequence",
     "time",
     "user",
     "means",
     "source",
     "operation",
     "object",
     "result",
     "previous",
     "hash"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "sequence": 42,
      "time": "2026-01-02T03:04:05.678Z",
      "user": "admin",
      "roles": [
       "admin"
      ],
      "means": "session",
      "source": "192.0.2.7",
      "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11",
      "method": "DELETE",
      "operation": "deleteFarm",
      "object": "farms/web",
      "result": "refused",
      "status": 404,
      "code": "not-found",
      "message": "there is no farm web",
      "previous": "9b3c5a1f0d7e6c2b8a4f9e3d1c5b7a0f6e2d8c4b9a3f7e1d5c0b6a2f8e4d9c37",
      "hash": "41d0a7c3f9e2b8d5a1c6f0e3b7d9a2c5f8e1b4d6a0c3f7e9b2d5a8c1f4e6b035"
     }
    ]
   },
   "StoredBackup": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the backup"
     },
     "time": {
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
      "description": "When it was made; of one that was uploaded, when that was"
     },
     "size": {
      "type": "integer",
      "description": "Bytes"
     },
     "origin": {
      "type": "string",
      "enum": [
       "made",
       "scheduled",
       "uploaded"
      ],
      "description": "How it came to be here"
     },
     "lock": {
      "type": "string",
      "enum": [
       "passphrase",
       "recipients",
       "unknown"
      ],
      "description": "What opens it: the passphrase it was made with, or the secret key of one of its public keys"
     },
     "hostname": {
      "description": "Name of the box that made it; not known of one that was uploaded",
      "type": "string"
     },
     "version": {
      "description": "Of the appliance that made it",
      "type": "string"
     },
     "generation": {
      "description": "The generation of the configuration that is in it",
      "type": "integer"
     },
     "identity": {
      "description": "Certificate and key of the API and host keys of SSH are in it",
      "type": "boolean"
     },
     "history": {
      "description": "How many older generations are in it",
      "type": "integer"
     }
    },
    "required": [
     "name",
     "time",
     "size",
     "origin",
     "lock"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "lb1-20260102-030405",
      "time": "2026-01-02T03:04:05.000Z",
      "size": 12345,
      "origin": "made",
      "lock": "passphrase",
      "hostname": "lb1",
      "version": "0.1.0",
      "generation": 7,
      "identity": true,
      "history": 0
     }
    ]
   },
   "Job": {
    "type": "object",
    "properties": {
     "id": {
      "type": "string",
      "description": "Id of the job"
     },
     "kind": {
      "type": "string",
      "description": "Stable name of the kind of job, such as backup"
     },
     "title": {
      "type": "string",
      "description": "What it does, in words"
     },
     "state": {
      "type": "string",
      "enum": [
       "queued",
       "running",
       "done",
       "failed",
       "cancelled",
       "interrupted"
      ],
      "description": "interrupted: the agent or the box was restarted before the job ended, and it does not go on"
     },
     "owner": {
      "type": "string",
      "description": "User who started it; agent for what the box does by itself"
     },
     "source": {
      "type": "string",
      "description": "Address of the client, local, or timer"
     },
     "created": {
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
      "description": "When it was asked for"
     },
     "started": {
      "description": "When its turn came",
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"
     },
     "ended": {
      "description": "When it ended, in whatever way",
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"
     },
     "progress": {
      "type": "object",
      "properties": {
       "step": {
        "type": "string",
        "description": "What it is at"
       },
       "done": {
        "type": "number",
        "minimum": 0,
        "description": "How much of the total is done"
       },
       "total": {
        "type": "number",
        "minimum": 0,
        "description": "0: nobody knows yet"
       }
      },
      "required": [
       "step",
       "done",
       "total"
      ],
      "additionalProperties": false,
      "description": "How far it is"
     },
     "result": {
      "description": "What it made, when it is done",
      "type": "object",
      "propertyNames": {
       "type": "string"
      },
      "additionalProperties": {}
     },
     "problem": {
      "description": "Why it did not end well",
      "type": "object",
      "properties": {
       "code": {
        "type": "string",
        "description": "Code of the error, as in other answers"
       },
       "detail": {
        "type": "string",
        "description": "What went wrong"
       },
       "problems": {
        "type": "array",
        "items": {
         "type": "object",
         "properties": {
          "path": {
           "type": "string",
           "description": "The field"
          },
          "message": {
           "type": "string",
           "description": "What is wrong"
          }
         },
         "required": [
          "path",
          "message"
         ],
         "additionalProperties": false
        },
        "description": "Fields that are to blame, when there are any"
       }
      },
      "required": [
       "code",
       "detail",
       "problems"
      ],
      "additionalProperties": false
     }
    },
    "required": [
     "id",
     "kind",
     "title",
     "state",
     "owner",
     "source",
     "created",
     "progress"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "id": "k7mq2xwp4a1c",
      "kind": "backup",
      "title": "make backup lb1-20260102-030405",
      "state": "running",
      "owner": "admin",
      "source": "192.0.2.7",
      "created": "2026-01-02T03:04:05.000Z",
      "started": "2026-01-02T03:04:05.000Z",
      "progress": {
       "step": "encrypt",
       "done": 1,
       "total": 3
      }
     }
    ]
   },
   "JobLine": {
    "type": "object",
    "properties": {
     "time": {
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
      "description": "When it was written"
     },
     "text": {
      "type": "string",
      "description": "The line"
     }
    },
    "required": [
     "time",
     "text"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "time": "2026-01-02T03:04:05.000Z",
      "text": "encrypt"
     }
    ]
   },
   "Problem": {
    "type": "object",
    "properties": {
     "title": {
      "type": "string",
      "description": "The same for every error of a code"
     },
     "status": {
      "type": "integer",
      "description": "The HTTP status"
     },
     "detail": {
      "type": "string",
      "description": "What happened this time"
     },
     "code": {
      "type": "string",
      "enum": [
       "bad-input",
       "unauthenticated",
       "second-factor-required",
       "forbidden",
       "not-found",
       "method-not-allowed",
       "exists",
       "in-use",
       "ambiguous",
       "awaiting-confirmation",
       "key-in-use",
       "too-many-jobs",
       "unended",
       "stale",
       "too-large",
       "unsupported-type",
       "invalid-configuration",
       "bad-backup",
       "key-reused",
       "too-many-requests",
       "apply-failed",
       "disk-full",
       "not-ready",
       "command-failed",
       "incompatible",
       "corrupt",
       "internal"
      ],
      "description": "Stable name of the kind of error"
     },
     "problems": {
      "type": "array",
      "items": {
       "type": "object",
       "properties": {
        "path": {
         "type": "string",
         "description": "The field, from the root of the configuration: farms.web.backends.b1.port"
        },
        "message": {
         "type": "string",
         "description": "What is expected"
        }
       },
       "required": [
        "path",
        "message"
       ],
       "additionalProperties": false
      },
      "description": "Each offending field: its path, such as farms.web.backends.b1.port, and what is expected"
     },
     "requestId": {
      "type": "string",
      "description": "Also in the header Request-Id and in the log"
     },
     "challenge": {
      "description": "With second-factor-required: to be sent back with a code",
      "type": "string"
     },
     "factors": {
      "description": "With second-factor-required: what gives codes, such as totp",
      "type": "array",
      "items": {
       "type": "string"
      }
     },
     "expiresInSeconds": {
      "description": "With second-factor-required: how long the challenge is good",
      "type": "integer"
     }
    },
    "required": [
     "title",
     "status",
     "detail",
     "code",
     "problems",
     "requestId"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "title": "The request is not valid",
      "status": 400,
      "detail": "farms.web.backends.b1.port: expected a port from 1 to 65535",
      "code": "bad-input",
      "problems": [
       {
        "path": "farms.web.backends.b1.port",
        "message": "expected a port from 1 to 65535"
       }
      ],
      "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
     }
    ]
   },
   "PendingCommit": {
    "type": "object",
    "properties": {
     "generation": {
      "type": "integer",
      "description": "The generation that is current until then"
     },
     "parent": {
      "type": "integer",
      "description": "The confirmed generation, whose content comes back"
     },
     "author": {
      "type": "string",
      "description": "Who made the change"
     },
     "source": {
      "type": "string",
      "description": "Address of the client, or local"
     },
     "message": {
      "type": "string",
      "description": "What the change does"
     },
     "time": {
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
      "description": "When the change was made"
     },
     "deadline": {
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
      "description": "When it goes back unless it is confirmed"
     },
     "reasons": {
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "How the change can cut off an operator; none when asked for"
     }
    },
    "required": [
     "generation",
     "parent",
     "author",
     "source",
     "message",
     "time",
     "deadline",
     "reasons"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "generation": 8,
      "parent": 7,
      "author": "admin",
      "source": "192.0.2.7",
      "message": "change interface nic0",
      "time": "2026-01-02T03:04:05.000Z",
      "deadline": "2026-01-02T03:09:05.000Z",
      "reasons": [
       "the interface nic0 is used for management"
      ]
     }
    ]
   },
   "Difference": {
    "type": "object",
    "properties": {
     "object": {
      "type": "string",
      "description": "Such as farms/web"
     },
     "change": {
      "type": "string",
      "enum": [
       "added",
       "removed",
       "changed"
      ],
      "description": "What became of it"
     },
     "text": {
      "type": "string",
      "description": "Unified diff of its YAML"
     }
    },
    "required": [
     "object",
     "change",
     "text"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "object": "farms/web",
      "change": "changed",
      "text": "@@ -4,1 +4,1 @@\n-  - \"80\"\n+  - \"81\"\n"
     }
    ]
   },
   "Plan": {
    "type": "object",
    "properties": {
     "generation": {
      "type": "integer",
      "description": "The generation that is current now"
     },
     "warnings": {
      "type": "array",
      "items": {
       "type": "object",
       "properties": {
        "path": {
         "type": "string",
         "description": "The field, from the root of the configuration: farms.web.backends.b1.port"
        },
        "message": {
         "type": "string",
         "description": "What is expected"
        }
       },
       "required": [
        "path",
        "message"
       ],
       "additionalProperties": false
      },
      "description": "What is allowed, and perhaps not meant"
     },
     "steps": {
      "type": "array",
      "items": {
       "type": "object",
       "properties": {
        "subsystem": {
         "type": "string",
         "description": "Who does it"
        },
        "kind": {
         "type": "string",
         "description": "Stable name of the kind of step"
        },
        "summary": {
         "type": "string",
         "description": "The step in words: add farm web"
        }
       },
       "required": [
        "subsystem",
        "kind",
        "summary"
       ],
       "additionalProperties": false
      },
      "description": "What is done to the machine, in order"
     },
     "confirmWithin": {
      "type": "integer",
      "description": "Minutes in which the change has to be confirmed, or it goes back; 0: it stays"
     },
     "reasons": {
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "How the change can cut off an operator who works over the network"
     },
     "differences": {
      "description": "Of a dry run: what would change, object by object",
      "type": "array",
      "items": {
       "$ref": "#/components/schemas/Difference"
      }
     },
     "pending": {
      "description": "The change, when it was made and has to be confirmed",
      "$ref": "#/components/schemas/PendingCommit"
     }
    },
    "required": [
     "generation",
     "warnings",
     "steps",
     "confirmWithin",
     "reasons"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "generation": 7,
      "warnings": [],
      "steps": [
       {
        "subsystem": "l4",
        "kind": "put-farm",
        "summary": "add farm web"
       }
      ],
      "confirmWithin": 0,
      "reasons": []
     }
    ]
   },
   "AuditTargetStatus": {
    "type": "object",
    "properties": {
     "state": {
      "type": "string",
      "enum": [
       "connected",
       "connecting",
       "waiting",
       "disabled"
      ],
      "description": "waiting: for the next try; connected says nothing of a UDP server"
     },
     "sequence": {
      "type": "integer",
      "description": "The last record that was sent"
     },
     "queued": {
      "type": "integer",
      "description": "Records still to send; they stand in the log"
     },
     "sent": {
      "type": "integer",
      "description": "Records sent since the agent started, those twice counted twice"
     },
     "lost": {
      "type": "integer",
      "description": "Records that retention removed before they were sent"
     },
     "error": {
      "type": "string",
      "description": "Why the last try failed; empty while all is well"
     }
    },
    "required": [
     "state",
     "sequence",
     "queued",
     "sent",
     "lost",
     "error"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "state": "connected",
      "sequence": 42,
      "queued": 0,
      "sent": 7,
      "lost": 0,
      "error": ""
     }
    ]
   },
   "AuditPage": {
    "type": "object",
    "properties": {
     "items": {
      "type": "array",
      "items": {
       "$ref": "#/components/schemas/AuditRecord"
      },
      "description": "Newest first"
     },
     "next": {
      "description": "There are more: ask for them with before=<next>",
      "type": "integer"
     }
    },
    "required": [
     "items"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "items": [
       {
        "sequence": 42,
        "time": "2026-01-02T03:04:05.678Z",
        "user": "admin",
        "roles": [
         "admin"
        ],
        "means": "session",
        "source": "192.0.2.7",
        "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11",
        "method": "DELETE",
        "operation": "deleteFarm",
        "object": "farms/web",
        "result": "refused",
        "status": 404,
        "code": "not-found",
        "message": "there is no farm web",
        "previous": "9b3c5a1f0d7e6c2b8a4f9e3d1c5b7a0f6e2d8c4b9a3f7e1d5c0b6a2f8e4d9c37",
        "hash": "41d0a7c3f9e2b8d5a1c6f0e3b7d9a2c5f8e1b4d6a0c3f7e9b2d5a8c1f4e6b035"
       }
      ],
      "next": 42
     }
    ]
   },
   "AuditReport": {
    "type": "object",
    "properties": {
     "whole": {
      "type": "boolean",
      "description": "Every record is as it was written, none is missing, none was added"
     },
     "records": {
      "type": "integer",
      "description": "Number of records that were looked at"
     },
     "first": {
      "type": "integer",
      "description": "Sequence number of the oldest record; older ones were removed by retention"
     },
     "last": {
      "type": "integer",
      "description": "Sequence number of the newest record"
     },
     "hash": {
      "type": "string",
      "description": "Of the newest record: compare it with the one a syslog server got"
     },
     "broken": {
      "description": "The first place where the chain breaks",
      "type": "object",
      "properties": {
       "file": {
        "type": "integer",
        "description": "The number in the name of the file"
       },
       "line": {
        "type": "integer",
        "description": "Counted from 1"
       },
       "sequence": {
        "type": "integer",
        "description": "Of the record that is not as it should be, or is missing"
       },
       "reason": {
        "type": "string",
        "description": "What is wrong with it"
       }
      },
      "required": [
       "file",
       "line",
       "sequence",
       "reason"
      ],
      "additionalProperties": false
     }
    },
    "required": [
     "whole",
     "records",
     "first",
     "last",
     "hash"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "whole": true,
      "records": 42,
      "first": 1,
      "last": 42,
      "hash": "41d0a7c3f9e2b8d5a1c6f0e3b7d9a2c5f8e1b4d6a0c3f7e9b2d5a8c1f4e6b035"
     }
    ]
   },
   "DirectoryTest": {
    "type": "object",
    "properties": {
     "accepted": {
      "type": "boolean",
      "description": "This user could log in with this password"
     },
     "reason": {
      "type": "string",
      "description": "In words"
     },
     "steps": {
      "type": "array",
      "items": {
       "type": "object",
       "properties": {
        "step": {
         "type": "string",
         "enum": [
          "connect",
          "tls",
          "bind",
          "search",
          "password",
          "groups",
          "roles"
         ],
         "description": "What was done"
        },
        "server": {
         "type": "string",
         "description": "With which server"
        },
        "ok": {
         "type": "boolean",
         "description": "Whether it went well"
        },
        "detail": {
         "type": "string",
         "description": "What came of it"
        }
       },
       "required": [
        "step",
        "server",
        "ok",
        "detail"
       ],
       "additionalProperties": false
      },
      "description": "In order; after a server that does not answer, those of the next"
     },
     "roles": {
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "That the directory gives"
     }
    },
    "required": [
     "accepted",
     "reason",
     "steps",
     "roles"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "accepted": true,
      "reason": "uid=anna,ou=people,dc=example,dc=com holds operator",
      "steps": [
       {
        "step": "connect",
        "server": "ldaps://ldap1.example.com",
        "ok": true,
        "detail": "ldap1.example.com:636"
       },
       {
        "step": "roles",
        "server": "ldaps://ldap1.example.com",
        "ok": true,
        "detail": "operator"
       }
      ],
      "roles": [
       "operator"
      ]
     }
    ]
   },
   "ShownApiKey": {
    "type": "object",
    "properties": {
     "id": {
      "type": "string",
      "description": "Also the beginning of the key, after sty_"
     },
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "owner": {
      "type": "string",
      "pattern": "^[a-z][a-z0-9_-]{0,31}$",
      "examples": [
       "anna"
      ],
      "description": "In whose name it acts; a key never does more than its owner may do now"
     },
     "roles": {
      "minItems": 1,
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      },
      "description": "What it may do"
     },
     "networks": {
      "default": [],
      "description": "Only from these networks, such as 192.0.2.0/24; none: from anywhere",
      "maxItems": 64,
      "type": "array",
      "items": {
       "examples": [
        "192.0.2.10/24"
       ],
       "type": "string"
      }
     },
     "created": {
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
      "description": "When it was made"
     },
     "expires": {
      "description": "When it ends",
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"
     },
     "lastUsed": {
      "description": "Left out: never",
      "type": "object",
      "properties": {
       "time": {
        "type": "string",
        "format": "date-time",
        "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
        "description": "When"
       },
       "source": {
        "type": "string",
        "description": "Address of the client"
       }
      },
      "required": [
       "time",
       "source"
      ],
      "additionalProperties": false
     }
    },
    "required": [
     "id",
     "description",
     "owner",
     "roles",
     "networks",
     "created"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "id": "k7mq2xwp",
      "description": "nightly report",
      "owner": "anna",
      "roles": [
       "read-only"
      ],
      "networks": [
       "192.0.2.0/24"
      ],
      "created": "2026-01-01T08:00:00.000Z",
      "expires": "2027-01-01T00:00:00.000Z"
     }
    ]
   },
   "MadeApiKey": {
    "type": "object",
    "properties": {
     "id": {
      "type": "string",
      "description": "Also the beginning of the key, after sty_"
     },
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "owner": {
      "type": "string",
      "pattern": "^[a-z][a-z0-9_-]{0,31}$",
      "examples": [
       "anna"
      ],
      "description": "In whose name it acts; a key never does more than its owner may do now"
     },
     "roles": {
      "minItems": 1,
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      },
      "description": "What it may do"
     },
     "networks": {
      "default": [],
      "description": "Only from these networks, such as 192.0.2.0/24; none: from anywhere",
      "maxItems": 64,
      "type": "array",
      "items": {
       "examples": [
        "192.0.2.10/24"
       ],
       "type": "string"
      }
     },
     "created": {
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
      "description": "When it was made"
     },
     "expires": {
      "description": "When it ends",
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"
     },
     "lastUsed": {
      "description": "Left out: never",
      "type": "object",
      "properties": {
       "time": {
        "type": "string",
        "format": "date-time",
        "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
        "description": "When"
       },
       "source": {
        "type": "string",
        "description": "Address of the client"
       }
      },
      "required": [
       "time",
       "source"
      ],
      "additionalProperties": false
     },
     "key": {
      "type": "string",
      "description": "For Authorization: Bearer …; shown once"
     }
    },
    "required": [
     "id",
     "description",
     "owner",
     "roles",
     "networks",
     "created",
     "key"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "id": "k7mq2xwp",
      "description": "nightly report",
      "owner": "anna",
      "roles": [
       "read-only"
      ],
      "networks": [
       "192.0.2.0/24"
      ],
      "created": "2026-01-01T08:00:00.000Z",
      "expires": "2027-01-01T00:00:00.000Z",
      "key": "sty_k7mq2xwp_b3Jhbmdlcy1hcmUtbm90LXRoZS1vbmx5LWZydWl0cy4"
     }
    ]
   },
   "Caller": {
    "type": "object",
    "properties": {
     "user": {
      "type": "string",
      "description": "Name of the user"
     },
     "fullName": {
      "type": "string",
      "description": "Shown to people"
     },
     "source": {
      "type": "string",
      "description": "Address the request came from, or local"
     },
     "means": {
      "type": "string",
      "enum": [
       "session",
       "cookie",
       "api-key",
       "local"
      ],
      "description": "How the caller proved who it is"
     },
     "permissions": {
      "type": "array",
      "items": {
       "type": "object",
       "properties": {
        "permission": {
         "type": "string",
         "description": "resource:verb; either half may be *"
        },
        "names": {
         "description": "Only on these objects; * stands for any characters",
         "type": "array",
         "items": {
          "type": "string"
         }
        }
       },
       "required": [
        "permission"
       ],
       "additionalProperties": false
      },
      "description": "What the caller may do now"
     },
     "ceiling": {
      "description": "Of an API key: what its owner may do; both must allow",
      "type": "array",
      "items": {
       "type": "object",
       "properties": {
        "permission": {
         "type": "string",
         "description": "resource:verb; either half may be *"
        },
        "names": {
         "description": "Only on these objects; * stands for any characters",
         "type": "array",
         "items": {
          "type": "string"
         }
        }
       },
       "required": [
        "permission"
       ],
       "additionalProperties": false
      }
     },
     "csrfToken": {
      "description": "Of a cookie session: for the header X-CSRF-Token",
      "type": "string"
     }
    },
    "required": [
     "user",
     "fullName",
     "source",
     "means",
     "permissions"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "user": "anna",
      "fullName": "Anna Berg",
      "source": "192.0.2.20",
      "means": "session",
      "permissions": [
       {
        "permission": "farms:*",
        "names": [
         "shop-*"
        ]
       },
       {
        "permission": "self:*"
       }
      ]
     }
    ]
   },
   "OwnSshKeys": {
    "type": "object",
    "properties": {
     "sshKeys": {
      "default": [],
      "description": "For the shell of the box; needs the permission shell:use",
      "maxItems": 32,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh\\.com|sk-ecdsa-sha2-nistp256@openssh\\.com) [A-Za-z0-9+/]+={0,3}(?: [^\\r\\n]*)?$"
      }
     }
    },
    "required": [
     "sshKeys"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "sshKeys": [
       "ssh-ed25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA anna"
      ]
     }
    ]
   },
   "Session": {
    "type": "object",
    "properties": {
     "token": {
      "description": "For the header Authorization: Bearer …; shown once; none with cookie",
      "type": "string"
     },
     "csrfToken": {
      "description": "With cookie: for the header X-CSRF-Token",
      "type": "string"
     },
     "expires": {
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
      "description": "Ends then at the latest; earlier after the idle time without a request"
     }
    },
    "required": [
     "expires"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "token": "b3Jhbmdlcy1hcmUtbm90LXRoZS1vbmx5LWZydWl0cy4",
      "expires": "2026-01-01T20:00:00.000Z"
     }
    ]
   },
   "OpenSession": {
    "type": "object",
    "properties": {
     "id": {
      "type": "string",
      "description": "For ending it; the token cannot be made from it"
     },
     "user": {
      "type": "string",
      "description": "Whose it is"
     },
     "source": {
      "type": "string",
      "description": "Address it was opened from"
     },
     "means": {
      "type": "string",
      "enum": [
       "session",
       "cookie"
      ],
      "description": "session: a token in a header; cookie: a browser"
     },
     "opened": {
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
      "description": "When it was opened"
     },
     "used": {
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
      "description": "When the last request came"
     },
     "expires": {
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
      "description": "When it ends at the latest"
     },
     "current": {
      "type": "boolean",
      "description": "The session of this request"
     }
    },
    "required": [
     "id",
     "user",
     "source",
     "means",
     "opened",
     "used",
     "expires",
     "current"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "id": "9f86d081884c7d65",
      "user": "anna",
      "source": "192.0.2.20",
      "means": "session",
      "opened": "2026-01-01T08:00:00.000Z",
      "used": "2026-01-01T08:10:00.000Z",
      "expires": "2026-01-01T20:00:00.000Z",
      "current": true
     }
    ]
   },
   "Lockout": {
    "type": "object",
    "properties": {
     "user": {
      "type": "string",
      "description": "Who has to wait"
     },
     "attempts": {
      "type": "integer",
      "description": "Wrong ones in a row"
     },
     "until": {
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
      "description": "When the next attempt is looked at"
     }
    },
    "required": [
     "user",
     "attempts",
     "until"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "user": "anna",
      "attempts": 14,
      "until": "2026-01-01T08:00:08.000Z"
     }
    ]
   },
   "SecondFactorEnrolment": {
    "type": "object",
    "properties": {
     "secret": {
      "type": "string",
      "description": "Base 32, to type into an app; shown once"
     },
     "uri": {
      "type": "string",
      "description": "otpauth:// with the secret, as apps read it from a QR code"
     },
     "svg": {
      "type": "string",
      "description": "The QR code as a picture"
     },
     "text": {
      "type": "string",
      "description": "The QR code for a terminal"
     }
    },
    "required": [
     "secret",
     "uri",
     "svg",
     "text"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
      "uri": "otpauth://totp/lb1:anna?issuer=lb1&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=SHA1&digits=6&period=30",
      "svg": "<svg/>",
      "text": "█▀▀▀▀▀█"
     }
    ]
   },
   "RecoveryCodes": {
    "type": "object",
    "properties": {
     "recoveryCodes": {
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "Each is good once, in place of a code; shown once"
     }
    },
    "required": [
     "recoveryCodes"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "recoveryCodes": [
       "abcd-efgh-ijkl-mnop"
      ]
     }
    ]
   },
   "SecondFactorState": {
    "type": "object",
    "properties": {
     "enabled": {
      "type": "boolean",
      "description": "A code is asked for at login"
     },
     "recoveryCodes": {
      "type": "integer",
      "description": "How many are left"
     }
    },
    "required": [
     "enabled",
     "recoveryCodes"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "enabled": true,
      "recoveryCodes": 10
     }
    ]
   },
   "NicPlace": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "description": "Network card in the backup"
     },
     "to": {
      "description": "The one of this box in its place; none: nothing fits",
      "type": "string"
     },
     "by": {
      "type": "string",
      "enum": [
       "named",
       "mac",
       "proposed",
       "open"
      ],
      "description": "named: by you; mac: the same card; proposed: accept it or name another; open: name one"
     },
     "reason": {
      "type": "string",
      "description": "Why this one"
     },
     "candidates": {
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "Cards of this box that may take its place, when that is not certain"
     }
    },
    "required": [
     "name",
     "by",
     "reason",
     "candidates"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "eth0",
      "to": "eth1",
      "by": "proposed",
      "reason": "same driver in the same place",
      "candidates": [
       "eth1",
       "eth2"
      ]
     }
    ]
   },
   "RestoreReport": {
    "type": "object",
    "properties": {
     "manifest": {
      "description": "What the backup says of itself",
      "$ref": "#/components/schemas/BackupManifest"
     },
     "restored": {
      "type": "boolean",
      "description": "False: nothing was changed"
     },
     "nics": {
      "type": "array",
      "items": {
       "$ref": "#/components/schemas/NicPlace"
      },
      "description": "Each network card that the configuration names, and what becomes of it"
     },
     "identity": {
      "type": "boolean",
      "description": "Certificate, key and host keys of the backup were taken, or would be"
     },
     "plan": {
      "description": "What is done to the machine; none while a card has no place",
      "$ref": "#/components/schemas/Plan"
     },
     "differences": {
      "type": "array",
      "items": {
       "$ref": "#/components/schemas/Difference"
      },
      "description": "What changes, object by object"
     }
    },
    "required": [
     "manifest",
     "restored",
     "nics",
     "identity",
     "differences"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "manifest": {
       "product": "steelyard",
       "format": 1,
       "version": "0.1.0",
       "schemaVersion": 2,
       "hostname": "lb1",
       "time": "2026-01-02T03:04:05.000Z",
       "generation": 7,
       "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
       "identity": true,
       "history": 0,
       "nics": [
        {
         "name": "eth0",
         "mac": "52:54:00:12:34:56",
         "driver": "virtio_net",
         "bus": "0000:00:03.0"
        }
       ]
      },
      "restored": false,
      "nics": [
       {
        "name": "eth0",
        "to": "eth0",
        "by": "mac",
        "reason": "the same card, by its permanent MAC address",
        "candidates": []
       }
      ],
      "identity": false,
      "plan": {
       "generation": 8,
       "warnings": [],
       "steps": [],
       "confirmWithin": 0,
       "reasons": []
      },
      "differences": []
     }
    ]
   },
   "CertificateStatus": {
    "type": "object",
    "properties": {
     "subject": {
      "type": "string",
      "description": "Whom it names"
     },
     "issuer": {
      "type": "string",
      "description": "Who signed it"
     },
     "names": {
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "Host names and addresses it is for"
     },
     "notBefore": {
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
      "description": "Valid from"
     },
     "notAfter": {
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
      "description": "Valid until"
     },
     "daysLeft": {
      "type": "integer",
      "description": "Whole days until it expires; below 0 once it has"
     },
     "key": {
      "type": "string",
      "description": "Kind of key, such as ECDSA P-256"
     },
     "signature": {
      "type": "string",
      "description": "How it is signed, such as ECDSA with SHA-256"
     },
     "fingerprint": {
      "type": "string",
      "description": "SHA-256, AB:CD:…"
     },
     "selfSigned": {
      "type": "boolean",
      "description": "No authority vouches for it"
     },
     "name": {
      "type": "string",
      "description": "Of the certificate"
     },
     "state": {
      "type": "string",
      "enum": [
       "valid",
       "expiring",
       "expired",
       "not-yet-valid",
       "requested"
      ],
      "description": "expiring: in less than 30 days, or a third of its time; requested: its authority has not answered yet"
     },
     "uses": {
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "What has a use for it, by its path in the configuration"
     }
    },
    "required": [
     "name",
     "state",
     "uses"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "management",
      "state": "valid",
      "uses": [
       "system.management"
      ],
      "subject": "CN=lb1.example.com",
      "issuer": "O=Example, CN=Example authority 1",
      "names": [
       "lb1.example.com"
      ],
      "notBefore": "2026-01-01T00:00:00.000Z",
      "notAfter": "2026-04-01T00:00:00.000Z",
      "daysLeft": 89,
      "key": "ECDSA P-256",
      "signature": "ECDSA with SHA-256",
      "fingerprint": "AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB",
      "selfSigned": false
     }
    ]
   },
   "RequestedCertificate": {
    "type": "object",
    "properties": {
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "certificate": {
      "description": "PEM: the server's certificate, then each authority that signed the one before; none while a request awaits its answer",
      "examples": [
       "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n"
      ],
      "type": "string",
      "maxLength": 65536
     },
     "request": {
      "description": "PEM (PKCS #10), for keys made on the box: what the authority signs",
      "examples": [
       "-----BEGIN CERTIFICATE REQUEST-----\nMIHeMIGFAgEAMBQxEjAQBg==\n-----END CERTIFICATE REQUEST-----\n"
      ],
      "type": "string",
      "maxLength": 16384
     },
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Of the certificate"
     }
    },
    "required": [
     "description",
     "name"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "management",
      "description": "",
      "request": "-----BEGIN CERTIFICATE REQUEST-----\nMIHeMIGFAgEAMBQxEjAQBg==\n-----END CERTIFICATE REQUEST-----\n"
     }
    ]
   },
   "ManagementCertificate": {
    "type": "object",
    "properties": {
     "subject": {
      "type": "string",
      "description": "Whom it names"
     },
     "issuer": {
      "type": "string",
      "description": "Who signed it"
     },
     "names": {
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "Host names and addresses it is for"
     },
     "notBefore": {
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
      "description": "Valid from"
     },
     "notAfter": {
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
      "description": "Valid until"
     },
     "daysLeft": {
      "type": "integer",
      "description": "Whole days until it expires; below 0 once it has"
     },
     "key": {
      "type": "string",
      "description": "Kind of key, such as ECDSA P-256"
     },
     "signature": {
      "type": "string",
      "description": "How it is signed, such as ECDSA with SHA-256"
     },
     "fingerprint": {
      "type": "string",
      "description": "SHA-256, AB:CD:…"
     },
     "selfSigned": {
      "type": "boolean",
      "description": "No authority vouches for it"
     },
     "certificate": {
      "type": "string",
      "description": "PEM, with the authorities behind it"
     },
     "source": {
      "type": "string",
      "enum": [
       "self-signed",
       "configured"
      ],
      "description": "The box's own, or that of system.management.certificate"
     },
     "name": {
      "description": "Of the configured one",
      "type": "string"
     },
     "reason": {
      "description": "Why the configured one is not shown",
      "type": "string"
     }
    },
    "required": [
     "subject",
     "issuer",
     "names",
     "notBefore",
     "notAfter",
     "daysLeft",
     "key",
     "signature",
     "fingerprint",
     "selfSigned",
     "certificate",
     "source"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "source": "configured",
      "name": "management",
      "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n",
      "subject": "CN=lb1.example.com",
      "issuer": "O=Example, CN=Example authority 1",
      "names": [
       "lb1.example.com"
      ],
      "notBefore": "2026-01-01T00:00:00.000Z",
      "notAfter": "2026-04-01T00:00:00.000Z",
      "daysLeft": 89,
      "key": "ECDSA P-256",
      "signature": "ECDSA with SHA-256",
      "fingerprint": "AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB",
      "selfSigned": false
     }
    ]
   },
   "Generation": {
    "type": "object",
    "properties": {
     "generation": {
      "type": "integer",
      "description": "Its number; they are counted up"
     },
     "parent": {
      "type": "integer",
      "description": "The generation it was made from; 0 for the first"
     },
     "author": {
      "type": "string",
      "description": "The user who made it"
     },
     "source": {
      "type": "string",
      "description": "Address of the client, or local, console, answer-file, boot"
     },
     "time": {
      "type": "string",
      "format": "date-time",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
      "description": "When it was made, UTC"
     },
     "message": {
      "type": "string",
      "description": "What was done"
     },
     "schemaVersion": {
      "type": "integer",
      "description": "Of the format its objects are kept in"
     },
     "compatible": {
      "type": "boolean",
      "description": "false: a newer system wrote it, and this one can neither read nor restore it"
     }
    },
    "required": [
     "generation",
     "parent",
     "author",
     "source",
     "time",
     "message",
     "schemaVersion",
     "compatible"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "generation": 7,
      "parent": 6,
      "author": "admin",
      "source": "192.0.2.20",
      "time": "2026-01-01T12:00:00.000Z",
      "message": "create farm web",
      "schemaVersion": 2,
      "compatible": true
     }
    ]
   },
   "Configuration": {
    "type": "object",
    "properties": {
     "system": {
      "description": "The box itself",
      "$ref": "#/components/schemas/System"
     },
     "interfaces": {
      "type": "object",
      "propertyNames": {
       "type": "string"
      },
      "additionalProperties": {
       "$ref": "#/components/schemas/Interface"
      },
      "description": "By name"
     },
     "virtualAddresses": {
      "type": "object",
      "propertyNames": {
       "type": "string"
      },
      "additionalProperties": {
       "$ref": "#/components/schemas/VirtualAddress"
      },
      "description": "By name"
     },
     "routingTables": {
      "type": "object",
      "propertyNames": {
       "type": "string"
      },
      "additionalProperties": {
       "$ref": "#/components/schemas/RoutingTable"
      },
      "description": "By name"
     },
     "routingRules": {
      "type": "object",
      "propertyNames": {
       "type": "string"
      },
      "additionalProperties": {
       "$ref": "#/components/schemas/RoutingRule"
      },
      "description": "By name"
     },
     "routingRoutes": {
      "type": "object",
      "propertyNames": {
       "type": "string"
      },
      "additionalProperties": {
       "$ref": "#/components/schemas/RoutingRoute"
      },
      "description": "By name"
     },
     "farms": {
      "type": "object",
      "propertyNames": {
       "type": "string"
      },
      "additionalProperties": {
       "oneOf": [
        {
         "$ref": "#/components/schemas/L4Farm"
        }
       ]
      },
      "description": "By name"
     },
     "certificates": {
      "type": "object",
      "propertyNames": {
       "type": "string"
      },
      "additionalProperties": {
       "type": "object",
       "properties": {},
       "additionalProperties": {}
      },
      "description": "By name; keys are hidden"
     },
     "access": {
      "description": "How long a login lasts",
      "$ref": "#/components/schemas/AccessSettings"
     },
     "users": {
      "type": "object",
      "propertyNames": {
       "type": "string"
      },
      "additionalProperties": {
       "type": "object",
       "properties": {},
       "additionalProperties": {}
      },
      "description": "By name; secret fields are hidden"
     },
     "groups": {
      "type": "object",
      "propertyNames": {
       "type": "string"
      },
      "additionalProperties": {
       "$ref": "#/components/schemas/Group"
      },
      "description": "By name"
     },
     "roles": {
      "type": "object",
      "propertyNames": {
       "type": "string"
      },
      "additionalProperties": {
       "$ref": "#/components/schemas/Role"
      },
      "description": "By name; those that are built in are not among them"
     },
     "apiKeys": {
      "type": "object",
      "propertyNames": {
       "type": "string"
      },
      "additionalProperties": {
       "type": "object",
       "properties": {},
       "additionalProperties": {}
      },
      "description": "By id; secret fields are hidden"
     },
     "backups": {
      "description": "Backups the box makes by itself",
      "$ref": "#/components/schemas/BackupSchedule"
     },
     "directories": {
      "type": "object",
      "propertyNames": {
       "type": "string"
      },
      "additionalProperties": {
       "type": "object",
       "properties": {},
       "additionalProperties": {}
      },
      "description": "By name; secret fields are hidden"
     },
     "auditTargets": {
      "type": "object",
      "propertyNames": {
       "type": "string"
      },
      "additionalProperties": {
       "$ref": "#/components/schemas/AuditTarget"
      },
      "description": "By name"
     }
    },
    "required": [
     "interfaces",
     "virtualAddresses",
     "routingTables",
     "routingRules",
     "routingRoutes",
     "farms",
     "certificates",
     "users",
     "groups",
     "roles",
     "apiKeys",
     "directories",
     "auditTargets"
    ],
    "additionalProperties": false,
    "description": "Every object, secrets hidden",
    "examples": [
     {
      "system": {
       "hostname": "steelyard",
       "dns": {
        "servers": [],
        "search": [],
        "dnssec": "no",
        "overTls": "no"
       },
       "ntp": {
        "servers": []
       },
       "timeZone": "UTC",
       "hosts": [],
       "proxy": {
        "bypass": []
       },
       "management": {
        "interfaces": [],
        "port": 444
       },
       "console": {
        "passwordReset": true
       },
       "ssh": {
        "enabled": false,
        "port": 22,
        "passwordAuthentication": false
       }
      },
      "interfaces": {},
      "virtualAddresses": {},
      "routingTables": {},
      "routingRules": {},
      "routingRoutes": {},
      "farms": {},
      "certificates": {},
      "access": {
       "sessions": {
        "idleMinutes": 30,
        "absoluteMinutes": 720
       },
       "secondFactor": {
        "roles": []
       }
      },
      "users": {
       "admin": {
        "fullName": "",
        "description": "",
        "source": "local",
        "groups": [],
        "roles": [
         "admin"
        ],
        "sshKeys": [],
        "disabled": false
       }
      },
      "groups": {},
      "roles": {},
      "apiKeys": {},
      "backups": {
       "enabled": false,
       "time": "03:00",
       "days": [],
       "keep": 7,
       "recipients": [],
       "identity": true,
       "history": false
      },
      "directories": {},
      "auditTargets": {}
     }
    ]
   },
   "PasswordResetState": {
    "type": "object",
    "properties": {
     "possible": {
      "type": "boolean",
      "description": "It can be done now"
     },
     "reason": {
      "description": "Why not",
      "type": "string"
     }
    },
    "required": [
     "possible"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "possible": false,
      "reason": "the box was started longer ago"
     }
    ]
   },
   "PasswordResetDone": {
    "type": "object",
    "properties": {
     "generation": {
      "type": "integer",
      "description": "The generation it made"
     }
    },
    "required": [
     "generation"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "generation": 8
     }
    ]
   },
   "FirstBootResult": {
    "type": "object",
    "properties": {
     "generation": {
      "type": "integer",
      "description": "The first generation"
     },
     "warnings": {
      "type": "array",
      "items": {
       "type": "object",
       "properties": {
        "path": {
         "type": "string",
         "description": "The field, from the root of the configuration: farms.web.backends.b1.port"
        },
        "message": {
         "type": "string",
         "description": "What is expected"
        }
       },
       "required": [
        "path",
        "message"
       ],
       "additionalProperties": false
      },
      "description": "What is allowed, and perhaps not meant"
     }
    },
    "required": [
     "generation",
     "warnings"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "generation": 1,
      "warnings": []
     }
    ]
   },
   "FirstBootReport": {
    "type": "object",
    "properties": {
     "time": {
      "type": "string",
      "description": "RFC 3339, UTC"
     },
     "source": {
      "type": "string",
      "description": "Where the answers came from"
     },
     "sha256": {
      "description": "Of the file as it was read; none for answers from the console",
      "type": "string"
     },
     "outcome": {
      "type": "string",
      "enum": [
       "applied",
       "refused"
      ],
      "description": "refused: nothing was configured"
     },
     "generation": {
      "description": "What was made of it",
      "type": "integer"
     },
     "applied": {
      "description": "Names of what was made",
      "type": "object",
      "properties": {
       "hostname": {
        "type": "string",
        "description": "Name of the box"
       },
       "admin": {
        "type": "array",
        "items": {
         "type": "string"
        },
        "description": "How the administrator logs in; no secret is among it"
       },
       "managementInterfaces": {
        "type": "array",
        "items": {
         "type": "string"
        },
        "description": "Where the box is managed"
       },
       "interfaces": {
        "type": "array",
        "items": {
         "type": "string"
        },
        "description": "Interfaces that were configured"
       },
       "virtualAddresses": {
        "type": "array",
        "items": {
         "type": "string"
        },
        "description": "Virtual addresses that were made"
       },
       "farms": {
        "type": "array",
        "items": {
         "type": "string"
        },
        "description": "Farms that were made"
       }
      },
      "required": [
       "hostname",
       "admin",
       "managementInterfaces",
       "interfaces",
       "virtualAddresses",
       "farms"
      ],
      "additionalProperties": false
     },
     "warnings": {
      "type": "array",
      "items": {
       "type": "object",
       "properties": {
        "path": {
         "type": "string",
         "description": "Of the field"
        },
        "message": {
         "type": "string",
         "description": "What is expected"
        }
       },
       "required": [
        "path",
        "message"
       ],
       "additionalProperties": false
      },
      "description": "What was odd and accepted"
     },
     "problems": {
      "type": "array",
      "items": {
       "type": "object",
       "properties": {
        "path": {
         "type": "string",
         "description": "Of the field"
        },
        "message": {
         "type": "string",
         "description": "What is expected"
        },
        "line": {
         "description": "Of the file, from 1",
         "type": "integer"
        }
       },
       "required": [
        "path",
        "message"
       ],
       "additionalProperties": false
      },
      "description": "Why it was refused"
     }
    },
    "required": [
     "time",
     "source",
     "outcome",
     "warnings",
     "problems"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "time": "2026-01-01T12:00:00.000Z",
      "source": "steelyard.yaml on /dev/vdb",
      "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
      "outcome": "applied",
      "generation": 1,
      "applied": {
       "hostname": "lb1",
       "admin": [
        "password, given as its hash"
       ],
       "managementInterfaces": [
        "eth0"
       ],
       "interfaces": [
        "eth0"
       ],
       "virtualAddresses": [],
       "farms": []
      },
      "warnings": [],
      "problems": []
     }
    ]
   },
   "SealBegun": {
    "type": "object",
    "properties": {
     "message": {
      "type": "string",
      "description": "What happens now"
     }
    },
    "required": [
     "message"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "message": "lb1 is sealed and powers off"
     }
    ]
   },
   "ImportItem": {
    "type": "object",
    "properties": {
     "kind": {
      "type": "string",
      "description": "Such as interface, virtual interface, l4xnat farm, certificate"
     },
     "name": {
      "type": "string",
      "description": "Its name in the backup"
     },
     "source": {
      "type": "string",
      "description": "The file it was found in"
     },
     "result": {
      "type": "string",
      "enum": [
       "taken",
       "changed",
       "not-supported"
      ],
      "description": "changed: taken, but not as it was; the notes say what and why"
     },
     "target": {
      "description": "Where it stands now: farms.web",
      "type": "string"
     },
     "notes": {
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "What is to be said about it"
     },
     "later": {
      "description": "The subsystem that will be able to take it",
      "type": "string"
     },
     "content": {
      "description": "What it holds, to set it up by hand",
      "type": "object",
      "propertyNames": {
       "type": "string"
      },
      "additionalProperties": {}
     }
    },
    "required": [
     "kind",
     "name",
     "source",
     "result",
     "notes"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "kind": "l4xnat farm",
      "name": "Web",
      "source": "usr/local/zevenet/config/Web_l4xnat.cfg",
      "result": "changed",
      "target": "farms.web",
      "notes": [
       "names here are of a-z, 0-9, - and _: Web is web"
      ]
     }
    ]
   },
   "ImportResult": {
    "type": "object",
    "properties": {
     "product": {
      "type": "string",
      "description": "zevenet or skudonet"
     },
     "version": {
      "description": "Of the product, when the backup says",
      "type": "string"
     },
     "committed": {
      "type": "boolean",
      "description": "False: nothing was changed"
     },
     "summary": {
      "type": "object",
      "properties": {
       "taken": {
        "type": "integer",
        "description": "Items that mean the same here"
       },
       "changed": {
        "type": "integer",
        "description": "Items that were taken, but not as they were"
       },
       "notSupported": {
        "type": "integer",
        "description": "Items that were not taken"
       }
      },
      "required": [
       "taken",
       "changed",
       "notSupported"
      ],
      "additionalProperties": false,
      "description": "How many items have which result"
     },
     "report": {
      "type": "array",
      "items": {
       "$ref": "#/components/schemas/ImportItem"
      },
      "description": "One item for everything that was found"
     },
     "plan": {
      "description": "What is done to the machine",
      "$ref": "#/components/schemas/Plan"
     },
     "differences": {
      "type": "array",
      "items": {
       "$ref": "#/components/schemas/Difference"
      },
      "description": "What changes, object by object"
     }
    },
    "required": [
     "product",
     "committed",
     "summary",
     "report",
     "plan",
     "differences"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "product": "zevenet",
      "version": "5.0.2",
      "committed": false,
      "summary": {
       "taken": 0,
       "changed": 1,
       "notSupported": 0
      },
      "report": [
       {
        "kind": "l4xnat farm",
        "name": "Web",
        "source": "usr/local/zevenet/config/Web_l4xnat.cfg",
        "result": "changed",
        "target": "farms.web",
        "notes": [
         "names here are of a-z, 0-9, - and _: Web is web"
        ]
       }
      ],
      "plan": {
       "generation": 7,
       "warnings": [],
       "steps": [],
       "confirmWithin": 0,
       "reasons": []
      },
      "differences": []
     }
    ]
   },
   "FarmStatus": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "description": "The farm"
     },
     "state": {
      "type": "string",
      "enum": [
       "up",
       "down",
       "disabled"
      ],
      "description": "up: at least one backend takes new connections"
     },
     "backends": {
      "type": "array",
      "items": {
       "type": "object",
       "properties": {
        "name": {
         "type": "string",
         "description": "The backend"
        },
        "address": {
         "type": "string",
         "description": "Address of the server"
        },
        "port": {
         "description": "Left out: the port the client asked for",
         "type": "integer"
        },
        "state": {
         "type": "string",
         "enum": [
          "up",
          "maintenance",
          "down"
         ],
         "description": "What the operator set"
        },
        "effective": {
         "type": "string",
         "enum": [
          "up",
          "standby",
          "maintenance",
          "down",
          "disabled"
         ],
         "description": "What the kernel does. up: takes new connections; standby: waits for its priority's turn; maintenance: keeps the connections it has; down: has no rule; disabled: of a farm that is not enabled"
        },
        "connections": {
         "type": "integer",
         "description": "Connections to it now; of tcp, the established ones"
        }
       },
       "required": [
        "name",
        "address",
        "state",
        "effective",
        "connections"
       ],
       "additionalProperties": false
      },
      "description": "Each backend, in the order of the configuration"
     }
    },
    "required": [
     "name",
     "state",
     "backends"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "web",
      "state": "up",
      "backends": [
       {
        "name": "b1",
        "address": "198.51.100.1",
        "port": 80,
        "state": "up",
        "effective": "up",
        "connections": 12
       },
       {
        "name": "b2",
        "address": "198.51.100.2",
        "port": 80,
        "state": "maintenance",
        "effective": "maintenance",
        "connections": 1
       }
      ]
     }
    ]
   },
   "Link": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "description": "Name in the kernel"
     },
     "alternativeNames": {
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "Names it also answers to, such as enp3s0f0"
     },
     "kind": {
      "description": "Of a virtual link: bond, vlan, …",
      "type": "string"
     },
     "mac": {
      "description": "Hardware address in use",
      "type": "string"
     },
     "permanentMac": {
      "description": "The address the card was made with",
      "type": "string"
     },
     "driver": {
      "description": "Kernel driver; for a virtual link its kind",
      "type": "string"
     },
     "bus": {
      "description": "Where the card sits: 0000:00:03.0 for PCI",
      "type": "string"
     },
     "firmware": {
      "description": "Version of the card's firmware",
      "type": "string"
     },
     "profiles": {
      "description": "Hardware profiles whose images have the driver",
      "type": "array",
      "items": {
       "type": "string"
      }
     },
     "speed": {
      "description": "Mbit/s",
      "type": "number"
     },
     "duplex": {
      "description": "Whether both sides may send at once",
      "type": "string",
      "enum": [
       "full",
       "half"
      ]
     },
     "carrier": {
      "type": "boolean",
      "description": "The other end answers"
     },
     "state": {
      "type": "string",
      "enum": [
       "up",
       "no-carrier",
       "down",
       "missing"
      ],
      "description": "down: administratively off; no-carrier: on, but no link; up: working; missing: the card is not there"
     },
     "mtu": {
      "description": "Bytes",
      "type": "integer"
     },
     "minMtu": {
      "description": "Bytes; the least the driver takes",
      "type": "integer"
     },
     "maxMtu": {
      "description": "Bytes; the most the driver takes",
      "type": "integer"
     },
     "queues": {
      "description": "Queues in use",
      "type": "object",
      "properties": {
       "receive": {
        "type": "integer",
        "description": "Receive queues"
       },
       "send": {
        "type": "integer",
        "description": "Transmit queues"
       }
      },
      "required": [
       "receive",
       "send"
      ],
      "additionalProperties": false
     },
     "virtualFunctions": {
      "description": "Of a card with SR-IOV",
      "type": "object",
      "properties": {
       "active": {
        "type": "integer",
        "description": "That are on"
       },
       "greatest": {
        "type": "integer",
        "description": "That the card can have"
       }
      },
      "required": [
       "active",
       "greatest"
      ],
      "additionalProperties": false
     },
     "virtualFunctionOf": {
      "description": "Name of the card this is a virtual function of",
      "type": "string"
     },
     "master": {
      "description": "Bond or bridge it belongs to",
      "type": "string"
     },
     "addresses": {
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "With prefix length; link-local ones included"
     },
     "counters": {
      "type": "object",
      "properties": {
       "receivedBytes": {
        "type": "integer",
        "description": "Since the link was made"
       },
       "receivedPackets": {
        "type": "integer",
        "description": "Since the link was made"
       },
       "receivedErrors": {
        "type": "integer",
        "description": "Since the link was made"
       },
       "receivedDropped": {
        "type": "integer",
        "description": "Since the link was made"
       },
       "sentBytes": {
        "type": "integer",
        "description": "Since the link was made"
       },
       "sentPackets": {
        "type": "integer",
        "description": "Since the link was made"
       },
       "sentErrors": {
        "type": "integer",
        "description": "Since the link was made"
       },
       "sentDropped": {
        "type": "integer",
        "description": "Since the link was made"
       }
      },
      "required": [
       "receivedBytes",
       "receivedPackets",
       "receivedErrors",
       "receivedDropped",
       "sentBytes",
       "sentPackets",
       "sentErrors",
       "sentDropped"
      ],
      "additionalProperties": false,
      "description": "Counters of the kernel, of 64 bits"
     },
     "neighbour": {
      "description": "Who is at the other end, by its own words (LLDP)",
      "type": "object",
      "properties": {
       "chassis": {
        "type": "string",
        "description": "What the switch is known by"
       },
       "port": {
        "type": "string",
        "description": "The switch's port"
       },
       "portDescription": {
        "description": "What the switch calls the port",
        "type": "string"
       },
       "system": {
        "description": "Name of the switch",
        "type": "string"
       },
       "systemDescription": {
        "description": "What the switch is",
        "type": "string"
       }
      },
      "required": [
       "chassis",
       "port"
      ],
      "additionalProperties": false
     },
     "binding": {
      "description": "What the name is bound to; a link without one is no card",
      "type": "object",
      "properties": {
       "by": {
        "type": "string",
        "enum": [
         "mac",
         "path"
        ],
        "description": "mac: to the card, wherever it sits; path: to what sits there"
       },
       "mac": {
        "description": "Permanent MAC",
        "type": "string"
       },
       "path": {
        "description": "Place, as udev spells it",
        "type": "string"
       }
      },
      "required": [
       "by"
      ],
      "additionalProperties": false
     },
     "candidates": {
      "description": "Of a missing card: those that may be in its place",
      "type": "array",
      "items": {
       "type": "object",
       "properties": {
        "name": {
         "type": "string",
         "description": "Name the card has now"
        },
        "reason": {
         "type": "string",
         "enum": [
          "replaced",
          "same-mac"
         ],
         "description": "replaced: it sits in the slot; same-mac: it has the MAC, but so has another one"
        }
       },
       "required": [
        "name",
        "reason"
       ],
       "additionalProperties": false
      }
     }
    },
    "required": [
     "name",
     "alternativeNames",
     "carrier",
     "state",
     "addresses"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "nic0",
      "alternativeNames": [
       "enp3s0f0"
      ],
      "mac": "3c:ec:ef:12:34:56",
      "permanentMac": "3c:ec:ef:12:34:56",
      "driver": "ixgbe",
      "bus": "0000:03:00.0",
      "firmware": "0x80000d1b, 1.2585.0",
      "profiles": [
       "metal"
      ],
      "speed": 10000,
      "duplex": "full",
      "carrier": true,
      "state": "up",
      "mtu": 1500,
      "minMtu": 68,
      "maxMtu": 9710,
      "queues": {
       "receive": 8,
       "send": 8
      },
      "virtualFunctions": {
       "active": 0,
       "greatest": 63
      },
      "addresses": [
       "192.0.2.5/24"
      ],
      "counters": {
       "receivedBytes": 1234567,
       "receivedPackets": 9876,
       "receivedErrors": 0,
       "receivedDropped": 0,
       "sentBytes": 7654321,
       "sentPackets": 8765,
       "sentErrors": 0,
       "sentDropped": 0
      },
      "neighbour": {
       "chassis": "00:1c:73:00:00:01",
       "port": "Ethernet7",
       "system": "tor1.example.com"
      },
      "binding": {
       "by": "mac",
       "mac": "3c:ec:ef:12:34:56",
       "path": "pci-0000:03:00.0"
      }
     }
    ]
   },
   "BondProposal": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "description": "The first bond name that is free"
     },
     "mode": {
      "type": "string",
      "enum": [
       "802.3ad",
       "active-backup"
      ],
      "description": "802.3ad when the other end speaks LACP"
     },
     "members": {
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "Cards, at least two"
     },
     "reason": {
      "type": "string",
      "description": "Why, in words"
     }
    },
    "required": [
     "name",
     "mode",
     "members",
     "reason"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "bond0",
      "mode": "802.3ad",
      "members": [
       "nic0",
       "nic1"
      ],
      "reason": "nic0 and nic1 hear LACP from one system (00:1c:73:00:00:01), which has these ports in one group (key 7)"
     }
    ]
   },
   "InterfaceStatus": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "description": "Name in the kernel"
     },
     "alternativeNames": {
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "Names it also answers to, such as enp3s0f0"
     },
     "kind": {
      "description": "Of a virtual link: bond, vlan, …",
      "type": "string"
     },
     "mac": {
      "description": "Hardware address in use",
      "type": "string"
     },
     "permanentMac": {
      "description": "The address the card was made with",
      "type": "string"
     },
     "driver": {
      "description": "Kernel driver; for a virtual link its kind",
      "type": "string"
     },
     "bus": {
      "description": "Where the card sits: 0000:00:03.0 for PCI",
      "type": "string"
     },
     "firmware": {
      "description": "Version of the card's firmware",
      "type": "string"
     },
     "profiles": {
      "description": "Hardware profiles whose images have the driver",
      "type": "array",
      "items": {
       "type": "string"
      }
     },
     "speed": {
      "description": "Mbit/s",
      "type": "number"
     },
     "duplex": {
      "description": "Whether both sides may send at once",
      "type": "string",
      "enum": [
       "full",
       "half"
      ]
     },
     "carrier": {
      "type": "boolean",
      "description": "The other end answers"
     },
     "state": {
      "type": "string",
      "enum": [
       "up",
       "no-carrier",
       "down",
       "missing"
      ],
      "description": "down: administratively off; no-carrier: on, but no link; up: working; missing: the card is not there"
     },
     "mtu": {
      "description": "Bytes",
      "type": "integer"
     },
     "minMtu": {
      "description": "Bytes; the least the driver takes",
      "type": "integer"
     },
     "maxMtu": {
      "description": "Bytes; the most the driver takes",
      "type": "integer"
     },
     "queues": {
      "description": "Queues in use",
      "type": "object",
      "properties": {
       "receive": {
        "type": "integer",
        "description": "Receive queues"
       },
       "send": {
        "type": "integer",
        "description": "Transmit queues"
       }
      },
      "required": [
       "receive",
       "send"
      ],
      "additionalProperties": false
     },
     "virtualFunctions": {
      "description": "Of a card with SR-IOV",
      "type": "object",
      "properties": {
       "active": {
        "type": "integer",
        "description": "That are on"
       },
       "greatest": {
        "type": "integer",
        "description": "That the card can have"
       }
      },
      "required": [
       "active",
       "greatest"
      ],
      "additionalProperties": false
     },
     "virtualFunctionOf": {
      "description": "Name of the card this is a virtual function of",
      "type": "string"
     },
     "master": {
      "description": "Bond or bridge it belongs to",
      "type": "string"
     },
     "addresses": {
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "With prefix length; link-local ones included"
     },
     "counters": {
      "type": "object",
      "properties": {
       "receivedBytes": {
        "type": "integer",
        "description": "Since the link was made"
       },
       "receivedPackets": {
        "type": "integer",
        "description": "Since the link was made"
       },
       "receivedErrors": {
        "type": "integer",
        "description": "Since the link was made"
       },
       "receivedDropped": {
        "type": "integer",
        "description": "Since the link was made"
       },
       "sentBytes": {
        "type": "integer",
        "description": "Since the link was made"
       },
       "sentPackets": {
        "type": "integer",
        "description": "Since the link was made"
       },
       "sentErrors": {
        "type": "integer",
        "description": "Since the link was made"
       },
       "sentDropped": {
        "type": "integer",
        "description": "Since the link was made"
       }
      },
      "required": [
       "receivedBytes",
       "receivedPackets",
       "receivedErrors",
       "receivedDropped",
       "sentBytes",
       "sentPackets",
       "sentErrors",
       "sentDropped"
      ],
      "additionalProperties": false,
      "description": "Counters of the kernel, of 64 bits"
     },
     "neighbour": {
      "description": "Who is at the other end, by its own words (LLDP)",
      "type": "object",
      "properties": {
       "chassis": {
        "type": "string",
        "description": "What the switch is known by"
       },
       "port": {
        "type": "string",
        "description": "The switch's port"
       },
       "portDescription": {
        "description": "What the switch calls the port",
        "type": "string"
       },
       "system": {
        "description": "Name of the switch",
        "type": "string"
       },
       "systemDescription": {
        "description": "What the switch is",
        "type": "string"
       }
      },
      "required": [
       "chassis",
       "port"
      ],
      "additionalProperties": false
     },
     "binding": {
      "description": "What the name is bound to; a link without one is no card",
      "type": "object",
      "properties": {
       "by": {
        "type": "string",
        "enum": [
         "mac",
         "path"
        ],
        "description": "mac: to the card, wherever it sits; path: to what sits there"
       },
       "mac": {
        "description": "Permanent MAC",
        "type": "string"
       },
       "path": {
        "description": "Place, as udev spells it",
        "type": "string"
       }
      },
      "required": [
       "by"
      ],
      "additionalProperties": false
     },
     "candidates": {
      "description": "Of a missing card: those that may be in its place",
      "type": "array",
      "items": {
       "type": "object",
       "properties": {
        "name": {
         "type": "string",
         "description": "Name the card has now"
        },
        "reason": {
         "type": "string",
         "enum": [
          "replaced",
          "same-mac"
         ],
         "description": "replaced: it sits in the slot; same-mac: it has the MAC, but so has another one"
        }
       },
       "required": [
        "name",
        "reason"
       ],
       "additionalProperties": false
      }
     },
     "gateways": {
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "Default gateways reached through it"
     },
     "bond": {
      "description": "Of a bond",
      "type": "object",
      "properties": {
       "mode": {
        "type": "string",
        "description": "As in the configuration"
       },
       "active": {
        "description": "The member that carries the traffic, in modes that use one",
        "type": "string"
       },
       "members": {
        "type": "array",
        "items": {
         "type": "object",
         "properties": {
          "name": {
           "type": "string",
           "description": "Name of the interface"
          },
          "state": {
           "type": "string",
           "enum": [
            "active",
            "backup"
           ],
           "description": "Whether it is used"
          },
          "link": {
           "type": "string",
           "description": "up, going-down, down or going-up"
          },
          "failures": {
           "type": "integer",
           "description": "How often its link was lost since it is a member"
          },
          "aggregator": {
           "description": "The group that LACP has put it into",
           "type": "integer"
          }
         },
         "required": [
          "name",
          "state",
          "link",
          "failures"
         ],
         "additionalProperties": false
        },
        "description": "The members"
       },
       "partner": {
        "description": "The other end; 802.3ad",
        "type": "object",
        "properties": {
         "mac": {
          "description": "Its system; none when it sends no LACPDU",
          "type": "string"
         },
         "ports": {
          "type": "integer",
          "description": "Links in the group that is used"
         }
        },
        "required": [
         "ports"
        ],
        "additionalProperties": false
       }
      },
      "required": [
       "mode",
       "members"
      ],
      "additionalProperties": false
     }
    },
    "required": [
     "name",
     "alternativeNames",
     "carrier",
     "state",
     "addresses",
     "counters",
     "gateways"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "nic0",
      "alternativeNames": [
       "enp3s0f0"
      ],
      "mac": "3c:ec:ef:12:34:56",
      "permanentMac": "3c:ec:ef:12:34:56",
      "driver": "ixgbe",
      "bus": "0000:03:00.0",
      "firmware": "0x80000d1b, 1.2585.0",
      "profiles": [
       "metal"
      ],
      "speed": 10000,
      "duplex": "full",
      "carrier": true,
      "state": "up",
      "mtu": 1500,
      "minMtu": 68,
      "maxMtu": 9710,
      "queues": {
       "receive": 8,
       "send": 8
      },
      "virtualFunctions": {
       "active": 0,
       "greatest": 63
      },
      "addresses": [
       "192.0.2.5/24"
      ],
      "counters": {
       "receivedBytes": 1234567,
       "receivedPackets": 9876,
       "receivedErrors": 0,
       "receivedDropped": 0,
       "sentBytes": 7654321,
       "sentPackets": 8765,
       "sentErrors": 0,
       "sentDropped": 0
      },
      "neighbour": {
       "chassis": "00:1c:73:00:00:01",
       "port": "Ethernet7",
       "system": "tor1.example.com"
      },
      "binding": {
       "by": "mac",
       "mac": "3c:ec:ef:12:34:56",
       "path": "pci-0000:03:00.0"
      },
      "gateways": [
       "192.0.2.1"
      ]
     }
    ]
   },
   "FactoryResetBegun": {
    "type": "object",
    "properties": {
     "keep": {
      "type": "array",
      "items": {
       "type": "string",
       "enum": [
        "logs",
        "backups"
       ]
      },
      "description": "What stays"
     },
     "message": {
      "type": "string",
      "description": "What happens now"
     }
    },
    "required": [
     "keep",
     "message"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "keep": [
       "logs"
      ],
      "message": "lb1 starts again and asks its first questions"
     }
    ]
   },
   "RouteStatus": {
    "type": "object",
    "properties": {
     "family": {
      "type": "string",
      "enum": [
       "ipv4",
       "ipv6"
      ],
      "description": "Address family"
     },
     "type": {
      "type": "string",
      "description": "unicast, blackhole, unreachable or prohibit"
     },
     "destination": {
      "type": "string",
      "description": "default, or the network"
     },
     "via": {
      "description": "The router",
      "type": "string"
     },
     "interface": {
      "description": "The interface packets leave by",
      "type": "string"
     },
     "table": {
      "type": "string",
      "description": "Name of the table, its number when it has none; an interface's own has the interface's"
     },
     "metric": {
      "type": "integer",
      "description": "The lower of two routes to one network is used"
     },
     "source": {
      "description": "Address the box sends from",
      "type": "string"
     },
     "origin": {
      "type": "string",
      "enum": [
       "steelyard",
       "kernel",
       "lease",
       "static",
       "unmanaged"
      ],
      "description": "Who made it. steelyard: the box, as configured; kernel: with an address; lease: DHCP or a router advertisement; unmanaged: somebody else, and it is left alone"
     },
     "text": {
      "type": "string",
      "description": "As ip-route(8) would be told"
     }
    },
    "required": [
     "family",
     "type",
     "destination",
     "table",
     "metric",
     "origin",
     "text"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "family": "ipv4",
      "type": "unicast",
      "destination": "203.0.113.0/24",
      "via": "192.0.2.254",
      "interface": "eth0",
      "table": "main",
      "metric": 0,
      "origin": "steelyard",
      "text": "unicast 203.0.113.0/24 via 192.0.2.254 dev eth0 table 254 metric 0"
     }
    ]
   },
   "RuleStatus": {
    "type": "object",
    "properties": {
     "family": {
      "type": "string",
      "enum": [
       "ipv4",
       "ipv6"
      ],
      "description": "Address family"
     },
     "priority": {
      "type": "integer",
      "description": "Rules are asked in rising order"
     },
     "table": {
      "type": "string",
      "description": "Name of the table, its number when it has none; an interface's own has the interface's"
     },
     "origin": {
      "type": "string",
      "enum": [
       "steelyard",
       "kernel",
       "lease",
       "static",
       "unmanaged"
      ],
      "description": "Who made it. steelyard: the box, as configured; kernel: with an address; lease: DHCP or a router advertisement; unmanaged: somebody else, and it is left alone"
     },
     "text": {
      "type": "string",
      "description": "As ip-rule(8) would be told"
     }
    },
    "required": [
     "family",
     "priority",
     "table",
     "origin",
     "text"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "family": "ipv4",
      "priority": 29100,
      "table": "partner",
      "origin": "steelyard",
      "text": "priority 29100 from 198.51.100.0/24 lookup 100"
     }
    ]
   },
   "ClockStatus": {
    "type": "object",
    "properties": {
     "synchronized": {
      "type": "boolean",
      "description": "The clock follows its servers"
     },
     "stratum": {
      "description": "Steps to a reference clock",
      "type": "integer"
     },
     "offset": {
      "description": "Seconds the clock is ahead of true time, as estimated",
      "type": "number"
     },
     "sources": {
      "type": "array",
      "items": {
       "type": "object",
       "properties": {
        "server": {
         "type": "string",
         "description": "As configured"
        },
        "state": {
         "type": "string",
         "enum": [
          "selected",
          "combined",
          "not-combined",
          "unreachable",
          "falseticker",
          "unstable"
         ],
         "description": "What chrony makes of it; falseticker: the others agree against it"
        },
        "stratum": {
         "type": "integer",
         "description": "Its own; 0 until it has answered"
        },
        "answered": {
         "type": "integer",
         "description": "Of the last eight questions, how many it answered"
        },
        "offset": {
         "type": "number",
         "description": "Seconds the box was ahead of it when last measured"
        },
        "nts": {
         "type": "boolean",
         "description": "Its answers are authenticated by NTS"
        }
       },
       "required": [
        "server",
        "state",
        "stratum",
        "answered",
        "offset",
        "nts"
       ],
       "additionalProperties": false
      },
      "description": "Each server"
     }
    },
    "required": [
     "synchronized",
     "sources"
    ],
    "additionalProperties": false
   },
   "SystemStatus": {
    "type": "object",
    "properties": {
     "hostname": {
      "type": "string",
      "description": "Name of the box"
     },
     "version": {
      "type": "string",
      "description": "Of the appliance"
     },
     "image": {
      "description": "The image it runs, with its profile",
      "type": "string"
     },
     "slot": {
      "description": "The root slot it runs from; none when it does not run from an image",
      "type": "string",
      "enum": [
       "a",
       "b"
      ]
     },
     "uptime": {
      "type": "number",
      "description": "Seconds"
     },
     "time": {
      "type": "string",
      "description": "RFC 3339, UTC"
     },
     "memory": {
      "type": "object",
      "properties": {
       "total": {
        "type": "integer",
        "description": "Installed"
       },
       "available": {
        "type": "integer",
        "description": "Free, or free when asked for"
       }
      },
      "required": [
       "total",
       "available"
      ],
      "additionalProperties": false,
      "description": "Bytes"
     },
     "load": {
      "type": "array",
      "items": {
       "type": "number"
      },
      "description": "Mean number of runnable tasks over 1, 5 and 15 minutes"
     },
     "disks": {
      "type": "array",
      "items": {
       "type": "object",
       "properties": {
        "path": {
         "type": "string",
         "description": "Where it is mounted"
        },
        "size": {
         "type": "integer",
         "description": "Bytes"
        },
        "used": {
         "type": "integer",
         "description": "Bytes"
        },
        "available": {
         "type": "integer",
         "description": "Bytes, without those kept for root"
        }
       },
       "required": [
        "path",
        "size",
        "used",
        "available"
       ],
       "additionalProperties": false
      },
      "description": "Bytes; the file systems that fill up"
     },
     "generation": {
      "type": "integer",
      "description": "The current generation of the configuration"
     },
     "health": {
      "type": "string",
      "enum": [
       "ok",
       "degraded"
      ],
      "description": "degraded: there are problems"
     },
     "problems": {
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "A unit or the last scheduled backup has failed, another generation stands in for one that cannot be used, or the certificate of the API has expired; none when it is ok"
     },
     "warnings": {
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "What has to be done soon: a certificate expires"
     },
     "units": {
      "type": "array",
      "items": {
       "type": "object",
       "properties": {
        "name": {
         "type": "string",
         "description": "As systemd calls it"
        },
        "state": {
         "type": "string",
         "description": "ActiveState of systemd: active, inactive, failed, …"
        }
       },
       "required": [
        "name",
        "state"
       ],
       "additionalProperties": false
      },
      "description": "The services that matter"
     },
     "failedUnits": {
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "Every unit that has failed, be it ours or not"
     },
     "clock": {
      "description": "Of the clock and its servers; none while no time servers are configured",
      "$ref": "#/components/schemas/ClockStatus"
     }
    },
    "required": [
     "hostname",
     "version",
     "uptime",
     "time",
     "memory",
     "load",
     "disks",
     "generation",
     "health",
     "problems",
     "warnings",
     "units",
     "failedUnits"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "hostname": "lb1",
      "version": "0.1.0",
      "image": "steelyard-virt 0.1.0",
      "slot": "a",
      "uptime": 86400,
      "time": "2026-01-01T12:00:00.000Z",
      "memory": {
       "total": 2147483648,
       "available": 1610612736
      },
      "load": [
       0.1,
       0.05,
       0.01
      ],
      "disks": [
       {
        "path": "/config",
        "size": 520093696,
        "used": 1048576,
        "available": 480247808
       }
      ],
      "generation": 7,
      "health": "ok",
      "problems": [],
      "warnings": [],
      "units": [
       {
        "name": "steelyard-agent.service",
        "state": "active"
       }
      ],
      "failedUnits": [],
      "clock": {
       "synchronized": true,
       "stratum": 3,
       "offset": -0.000012,
       "sources": [
        {
         "server": "time.example.com",
         "state": "selected",
         "stratum": 2,
         "answered": 8,
         "offset": 0.000034,
         "nts": true
        }
       ]
      }
     }
    ]
   },
   "NamedUser": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z][a-z0-9_-]{0,31}$",
      "examples": [
       "anna"
      ],
      "description": "Name of the user"
     },
     "fullName": {
      "default": "",
      "description": "Shown to people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "source": {
      "default": "local",
      "description": "Who checks the password: this box, or a directory such as LDAP",
      "type": "string",
      "enum": [
       "local",
       "directory"
      ]
     },
     "groups": {
      "default": [],
      "description": "Their roles are held too",
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      }
     },
     "roles": {
      "default": [],
      "description": "In addition to those of the groups",
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      }
     },
     "sshKeys": {
      "default": [],
      "description": "For the shell of the box; needs the permission shell:use",
      "maxItems": 32,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh\\.com|sk-ecdsa-sha2-nistp256@openssh\\.com) [A-Za-z0-9+/]+={0,3}(?: [^\\r\\n]*)?$"
      }
     },
     "disabled": {
      "default": false,
      "description": "true: lets nobody in, and ends what is open",
      "type": "boolean"
     },
     "expires": {
      "description": "From the beginning of this day (UTC) on, the account lets nobody in",
      "type": "string",
      "format": "date",
      "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))$"
     }
    },
    "required": [
     "name",
     "fullName",
     "description",
     "source",
     "groups",
     "roles",
     "sshKeys",
     "disabled"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "anna",
      "fullName": "Anna Berg",
      "roles": [
       "operator"
      ],
      "description": "",
      "source": "local",
      "groups": [],
      "sshKeys": [],
      "disabled": false
     }
    ]
   },
   "NamedGroup": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the group"
     },
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "roles": {
      "default": [],
      "description": "Held by every member",
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      }
     }
    },
    "required": [
     "name",
     "description",
     "roles"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "web-team",
      "description": "Runs the shop",
      "roles": [
       "shop"
      ]
     }
    ]
   },
   "NamedRole": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the role"
     },
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "permissions": {
      "default": [],
      "description": "Each resource:verb; either half may be *",
      "maxItems": 256,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^(?:\\*|[a-z][a-z-]{0,31}):(?:\\*|[a-z][a-z-]{0,31})$",
       "examples": [
        "farms:update"
       ]
      }
     },
     "bindings": {
      "default": {},
      "description": "Only these objects, by kind; a kind left out is not bound. In a bound role the resource * stands for the bound kinds",
      "$ref": "#/components/schemas/Bindings"
     }
    },
    "required": [
     "name",
     "description",
     "permissions",
     "bindings"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "shop",
      "description": "Farms of the shop",
      "permissions": [
       "farms:*",
       "statistics:read"
      ],
      "bindings": {
       "farms": [
        "shop-*"
       ]
      }
     }
    ]
   },
   "NamedDirectory": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the directory"
     },
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "enabled": {
      "default": true,
      "description": "false: nobody logs in by it, and its sessions end",
      "type": "boolean"
     },
     "order": {
      "default": 100,
      "description": "Directories are asked from the lowest number on, then by name",
      "type": "integer",
      "minimum": 1,
      "maximum": 1000
     },
     "servers": {
      "minItems": 1,
      "maxItems": 8,
      "type": "array",
      "items": {
       "type": "string"
      },
      "description": "Asked in this order until one answers. ldaps:// is TLS from the first byte; ldap:// begins TLS with StartTLS"
     },
     "allowUnencrypted": {
      "default": false,
      "description": "true: ldap:// without TLS; passwords then cross the network in clear",
      "type": "boolean"
     },
     "caCertificates": {
      "description": "Certificates of the authorities that may have signed the servers' (PEM); left out: the public ones",
      "type": "string",
      "maxLength": 65536
     },
     "pinnedCertificates": {
      "default": [],
      "description": "SHA-256 of the servers' own certificates: these and no others, whoever signed them",
      "maxItems": 16,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}$"
      }
     },
     "serverName": {
      "description": "The name that the servers' certificates have, where it is not that of the address",
      "type": "string",
      "minLength": 1,
      "maxLength": 253,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "bindDn": {
      "description": "Account that searches; left out with no userTemplate: anonymous",
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "userTemplate": {
      "description": "Users bind themselves by this name, such as uid={user},ou=people,dc=example,dc=com, before they are searched for",
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "baseDn": {
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Where users are searched for, and all below"
     },
     "userFilter": {
      "default": "(uid={user})",
      "description": "RFC 4515; {user} stands for the name, escaped. Active Directory: (sAMAccountName={user})",
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "groupLookup": {
      "default": "memberOf",
      "description": "memberOf: the attribute of the user; search: groups that name the user, by groupFilter; active-directory: nested ones too, by the matching rule 1.2.840.113556.1.4.1941",
      "type": "string",
      "enum": [
       "memberOf",
       "search",
       "active-directory"
      ]
     },
     "groupBaseDn": {
      "description": "Where groups are searched for; left out: baseDn",
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "groupFilter": {
      "default": "(|(member={dn})(uniqueMember={dn})(memberUid={user}))",
      "description": "For search: {dn} stands for the DN of the user, {user} for the name, both escaped",
      "type": "string",
      "minLength": 1,
      "maxLength": 1024,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "nestedGroups": {
      "default": false,
      "description": "For memberOf and search: groups of groups count too, up to 8 deep",
      "type": "boolean"
     },
     "groupRoles": {
      "default": [],
      "description": "Which group holds which roles; who holds none is refused",
      "maxItems": 256,
      "type": "array",
      "items": {
       "$ref": "#/components/schemas/GroupRoles"
      }
     },
     "defaultRoles": {
      "default": [],
      "description": "Held by everybody whom the directory knows",
      "maxItems": 64,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
       "examples": [
        "web"
       ]
      }
     },
     "timeoutSeconds": {
      "default": 5,
      "description": "For connecting with TLS, and for each answer",
      "type": "integer",
      "minimum": 1,
      "maximum": 30
     },
     "recheckMinutes": {
      "default": 5,
      "description": "Roles of open sessions are looked up anew after this time",
      "type": "integer",
      "minimum": 1,
      "maximum": 1440
     },
     "graceMinutes": {
      "default": 60,
      "description": "Sessions outlive a directory that does not answer for this time beyond recheckMinutes",
      "type": "integer",
      "minimum": 0,
      "maximum": 10080
     }
    },
    "required": [
     "name",
     "description",
     "enabled",
     "order",
     "servers",
     "allowUnencrypted",
     "pinnedCertificates",
     "baseDn",
     "userFilter",
     "groupLookup",
     "groupFilter",
     "nestedGroups",
     "groupRoles",
     "defaultRoles",
     "timeoutSeconds",
     "recheckMinutes",
     "graceMinutes"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "corp",
      "servers": [
       "ldaps://ldap1.example.com",
       "ldaps://ldap2.example.com"
      ],
      "bindDn": "cn=steelyard,ou=services,dc=example,dc=com",
      "baseDn": "dc=example,dc=com",
      "userFilter": "(uid={user})",
      "groupRoles": [
       {
        "group": "cn=network,ou=groups,dc=example,dc=com",
        "roles": [
         "operator"
        ]
       }
      ],
      "description": "",
      "enabled": true,
      "order": 100,
      "allowUnencrypted": false,
      "pinnedCertificates": [],
      "groupLookup": "memberOf",
      "groupFilter": "(|(member={dn})(uniqueMember={dn})(memberUid={user}))",
      "nestedGroups": false,
      "defaultRoles": [],
      "timeoutSeconds": 5,
      "recheckMinutes": 5,
      "graceMinutes": 60
     }
    ]
   },
   "NamedAuditTarget": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the audit target"
     },
     "description": {
      "default": "",
      "description": "For people",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$"
     },
     "enabled": {
      "default": true,
      "description": "false: nothing is sent, and the place is kept",
      "type": "boolean"
     },
     "host": {
      "anyOf": [
       {
        "examples": [
         "192.0.2.10"
        ],
        "type": "string"
       },
       {
        "type": "string",
        "maxLength": 253,
        "pattern": "^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
        "examples": [
         "lb1.example.com"
        ]
       }
      ],
      "description": "Of the syslog server"
     },
     "port": {
      "description": "Left out: 6514 for tls, 601 for tcp, 514 for udp",
      "type": "integer",
      "minimum": 1,
      "maximum": 65535,
      "examples": [
       80
      ]
     },
     "transport": {
      "default": "tls",
      "description": "tls: RFC 5425; tcp: RFC 6587 with octet counting; udp: RFC 5426, where what is lost is not noticed",
      "type": "string",
      "enum": [
       "tls",
       "tcp",
       "udp"
      ]
     },
     "caCertificates": {
      "description": "For tls: certificates of the authorities that may have signed the server's (PEM); left out: the public ones",
      "type": "string",
      "maxLength": 65536
     },
     "pinnedCertificates": {
      "default": [],
      "description": "For tls: SHA-256 of the server's own certificate: these and no others, whoever signed them",
      "maxItems": 16,
      "type": "array",
      "items": {
       "type": "string",
       "pattern": "^(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}$"
      }
     },
     "serverName": {
      "description": "For tls: the name in the certificate, where it is not the host",
      "type": "string",
      "maxLength": 253,
      "pattern": "^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
      "examples": [
       "lb1.example.com"
      ]
     },
     "facility": {
      "default": "audit",
      "description": "Of RFC 5424",
      "type": "string",
      "enum": [
       "kern",
       "user",
       "daemon",
       "auth",
       "syslog",
       "authpriv",
       "audit",
       "alert",
       "local0",
       "local1",
       "local2",
       "local3",
       "local4",
       "local5",
       "local6",
       "local7"
      ]
     },
     "format": {
      "default": "json",
      "description": "After the structured data. json: the record as it stands in the log, so that its hash can be checked; text: one sentence",
      "type": "string",
      "enum": [
       "json",
       "text"
      ]
     },
     "enterpriseNumber": {
      "default": 32473,
      "description": "Of the SD-ID steelyard@…; the default is the one for examples (RFC 5612)",
      "type": "integer",
      "minimum": 1,
      "maximum": 4294967295
     },
     "maxBytes": {
      "default": 8192,
      "description": "Greatest message the server takes; for udp 2048. A record that is longer goes without its diffs",
      "type": "integer",
      "minimum": 2048,
      "maximum": 262144
     }
    },
    "required": [
     "name",
     "description",
     "enabled",
     "host",
     "transport",
     "pinnedCertificates",
     "facility",
     "format",
     "enterpriseNumber",
     "maxBytes"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "siem",
      "host": "siem.example.com",
      "transport": "tls",
      "facility": "audit",
      "description": "",
      "enabled": true,
      "pinnedCertificates": [],
      "format": "json",
      "enterpriseNumber": 32473,
      "maxBytes": 8192
     }
    ]
   },
   "NamedFarm": {
    "oneOf": [
     {
      "type": "object",
      "properties": {
       "name": {
        "type": "string",
        "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
        "examples": [
         "web"
        ],
        "description": "Name of the farm"
       },
       "profile": {
        "type": "string",
        "const": "l4xnat",
        "description": "Kind of farm"
       },
       "enabled": {
        "default": true,
        "description": "A farm that is not enabled opens no port",
        "type": "boolean"
       },
       "description": {
        "default": "",
        "type": "string",
        "maxLength": 255,
        "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
        "description": "Free text of one line, for people"
       },
       "virtualAddresses": {
        "minItems": 1,
        "maxItems": 64,
        "type": "array",
        "items": {
         "examples": [
          "192.0.2.10"
         ],
         "type": "string"
        },
        "description": "Addresses clients connect to, all of one family; the box must own them"
       },
       "ports": {
        "minItems": 1,
        "maxItems": 64,
        "type": "array",
        "items": {
         "examples": [
          "80",
          "8000-8010"
         ],
         "type": "string"
        },
        "description": "Ports and ranges of ports clients connect to"
       },
       "protocol": {
        "default": "tcp",
        "description": "Protocol of layer 4",
        "type": "string",
        "enum": [
         "tcp",
         "udp"
        ]
       },
       "natType": {
        "default": "nat",
        "description": "nat: backends see the box's address; dnat: they see the client's, and must route back through the box",
        "type": "string",
        "enum": [
         "nat",
         "dnat"
        ]
       },
       "algorithm": {
        "default": "weight",
        "description": "How a new connection is given a backend",
        "type": "string",
        "enum": [
         "weight",
         "round-robin",
         "hash-source-address",
         "hash-source-address-port"
        ]
       },
       "backends": {
        "default": {},
        "description": "Backends by name",
        "type": "object",
        "propertyNames": {
         "type": "string",
         "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
         "examples": [
          "web"
         ]
        },
        "additionalProperties": {
         "$ref": "#/components/schemas/L4Backend"
        }
       }
      },
      "required": [
       "name",
       "profile",
       "enabled",
       "description",
       "virtualAddresses",
       "ports",
       "protocol",
       "natType",
       "algorithm",
       "backends"
      ],
      "additionalProperties": false
     }
    ],
    "examples": [
     {
      "name": "web",
      "profile": "l4xnat",
      "virtualAddresses": [
       "192.0.2.10"
      ],
      "ports": [
       "80"
      ],
      "backends": {
       "b1": {
        "address": "198.51.100.1",
        "port": 80,
        "weight": 1,
        "priority": 1,
        "state": "up"
       },
       "b2": {
        "address": "198.51.100.2",
        "port": 80,
        "weight": 3,
        "priority": 1,
        "state": "up"
       }
      },
      "enabled": true,
      "description": "",
      "protocol": "tcp",
      "natType": "nat",
      "algorithm": "weight"
     }
    ]
   },
   "NamedBackend": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the backend"
     },
     "address": {
      "examples": [
       "192.0.2.10"
      ],
      "description": "Address of the server; of the same family as the virtual addresses",
      "type": "string"
     },
     "port": {
      "description": "Port on the server; left out, the port the client asked for",
      "type": "integer",
      "minimum": 1,
      "maximum": 65535,
      "examples": [
       80
      ]
     },
     "weight": {
      "default": 1,
      "description": "Share of new connections, next to the weights of the other backends",
      "type": "integer",
      "minimum": 1,
      "maximum": 255
     },
     "priority": {
      "default": 1,
      "description": "1 is used first; for each backend in use that is not up, the next priority is used as well",
      "type": "integer",
      "minimum": 1,
      "maximum": 9
     },
     "state": {
      "default": "up",
      "description": "up: takes connections; maintenance: keeps the ones it has, gets no new one; down: loses them all",
      "type": "string",
      "enum": [
       "up",
       "maintenance",
       "down"
      ]
     }
    },
    "required": [
     "name",
     "address",
     "weight",
     "priority",
     "state"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "b3",
      "address": "198.51.100.3",
      "port": 80,
      "weight": 2,
      "priority": 1,
      "state": "up"
     }
    ]
   },
   "NamedInterface": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ],
      "description": "Name of the interface"
     },
     "kind": {
      "default": "ethernet",
      "description": "ethernet: a network card; the others are made by the box",
      "type": "string",
      "enum": [
       "ethernet",
       "bond",
       "vlan",
       "bridge",
       "dummy"
      ]
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "alias": {
      "default": "",
      "description": "A name for people, which the kernel keeps with the interface (ifAlias)",
      "type": "string",
      "pattern": "^[\\x20-\\x7e]{0,64}$"
     },
     "enabled": {
      "default": true,
      "description": "Administratively up",
      "type": "boolean"
     },
     "mtu": {
      "description": "Bytes; left out, the driver's own",
      "type": "integer",
      "minimum": 1280,
      "maximum": 65535
     },
     "bond": {
      "description": "Of kind bond",
      "$ref": "#/components/schemas/Bond"
     },
     "vlan": {
      "description": "Of kind vlan",
      "$ref": "#/components/schemas/Vlan"
     },
     "bridge": {
      "description": "Of kind bridge",
      "$ref": "#/components/schemas/Bridge"
     },
     "ipv4": {
      "default": {
       "method": "none",
       "addresses": []
      },
      "description": "IPv4 on this interface",
      "$ref": "#/components/schemas/Ipv4Settings"
     },
     "ipv6": {
      "default": {
       "method": "none",
       "addresses": []
      },
      "description": "IPv6 on this interface",
      "$ref": "#/components/schemas/Ipv6Settings"
     }
    },
    "required": [
     "name",
     "kind",
     "description",
     "alias",
     "enabled",
     "ipv4",
     "ipv6"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "nic0",
      "ipv4": {
       "method": "static",
       "addresses": [
        "192.0.2.5/24"
       ],
       "gateway": "192.0.2.1"
      },
      "kind": "ethernet",
      "description": "",
      "alias": "",
      "enabled": true,
      "ipv6": {
       "method": "none",
       "addresses": []
      }
     }
    ]
   },
   "NamedVirtualAddress": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the virtual address"
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "enabled": {
      "default": true,
      "description": "false: the address is not on the box",
      "type": "boolean"
     },
     "interface": {
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ],
      "description": "Interface the address is put on"
     },
     "address": {
      "examples": [
       "192.0.2.10/24"
      ],
      "description": "The address with its prefix length",
      "type": "string"
     }
    },
    "required": [
     "name",
     "description",
     "enabled",
     "interface",
     "address"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "web",
      "interface": "nic0",
      "address": "192.0.2.10/24",
      "description": "",
      "enabled": true
     }
    ]
   },
   "NamedRoutingTable": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the routing table"
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "id": {
      "type": "integer",
      "minimum": 1,
      "maximum": 999,
      "description": "Number of the table in the kernel; 253 to 255 are the kernel's own"
     }
    },
    "required": [
     "name",
     "description",
     "id"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "partner",
      "id": 100,
      "description": ""
     }
    ]
   },
   "NamedRoutingRule": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the routing rule"
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "enabled": {
      "default": true,
      "description": "false: the rule is not in the kernel",
      "type": "boolean"
     },
     "priority": {
      "type": "integer",
      "minimum": 29000,
      "maximum": 30999,
      "description": "Rules are asked in rising order, these before those that the box makes by itself"
     },
     "from": {
      "description": "Network the packet comes from",
      "examples": [
       "198.51.100.0/24"
      ],
      "type": "string"
     },
     "to": {
      "description": "Network the packet goes to",
      "examples": [
       "198.51.100.0/24"
      ],
      "type": "string"
     },
     "mark": {
      "description": "Mark of the packet",
      "type": "object",
      "properties": {
       "value": {
        "type": "integer",
        "minimum": 0,
        "maximum": 4294967295,
        "description": "What the mark is compared with, as far as the mask goes"
       },
       "mask": {
        "default": 4294967295,
        "description": "Bits that count",
        "type": "integer",
        "minimum": 1,
        "maximum": 4294967295
       }
      },
      "required": [
       "value",
       "mask"
      ],
      "additionalProperties": false
     },
     "interface": {
      "description": "Interface the packet came in by; lo: the box itself sends it",
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ]
     },
     "not": {
      "default": false,
      "description": "true: for packets that do not fit",
      "type": "boolean"
     },
     "table": {
      "default": "main",
      "description": "main, the name of a routing table, or that of an interface: its own table",
      "examples": [
       "main"
      ],
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$"
     }
    },
    "required": [
     "name",
     "description",
     "enabled",
     "priority",
     "not",
     "table"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "from-partner",
      "priority": 29100,
      "from": "198.51.100.0/24",
      "table": "partner",
      "description": "",
      "enabled": true,
      "not": false
     }
    ]
   },
   "NamedRoute": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the route"
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "enabled": {
      "default": true,
      "description": "false: the route is not in the kernel",
      "type": "boolean"
     },
     "type": {
      "default": "unicast",
      "description": "unicast leads on; the others drop packets: silently, as unreachable, or as forbidden",
      "type": "string",
      "enum": [
       "unicast",
       "blackhole",
       "unreachable",
       "prohibit"
      ]
     },
     "destination": {
      "examples": [
       "198.51.100.0/24"
      ],
      "description": "Network the route leads to; 0.0.0.0/0 or ::/0 for a default route",
      "type": "string"
     },
     "via": {
      "description": "Address of the router",
      "examples": [
       "192.0.2.10"
      ],
      "type": "string"
     },
     "interface": {
      "description": "Interface the packets leave by",
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$",
      "examples": [
       "nic0"
      ]
     },
     "metric": {
      "default": 0,
      "description": "The lower of two routes to one network is used; in IPv6, 0 stands for 1024",
      "type": "integer",
      "minimum": 0,
      "maximum": 4294967295
     },
     "table": {
      "default": "main",
      "description": "main, the name of a routing table, or that of an interface: its own table",
      "examples": [
       "main"
      ],
      "type": "string",
      "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$"
     },
     "source": {
      "description": "Address the box sends from, where the sender names none",
      "examples": [
       "192.0.2.10"
      ],
      "type": "string"
     },
     "mtu": {
      "description": "Bytes",
      "type": "integer",
      "minimum": 68,
      "maximum": 65535
     },
     "onlink": {
      "default": false,
      "description": "true: the router is on the link, though no network of the interface holds it",
      "type": "boolean"
     }
    },
    "required": [
     "name",
     "description",
     "enabled",
     "type",
     "destination",
     "metric",
     "table",
     "onlink"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "partner",
      "destination": "203.0.113.0/24",
      "via": "192.0.2.254",
      "interface": "eth0",
      "description": "",
      "enabled": true,
      "type": "unicast",
      "metric": 0,
      "table": "main",
      "onlink": false
     }
    ]
   },
   "NamedCertificate": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string",
      "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$",
      "examples": [
       "web"
      ],
      "description": "Name of the certificate"
     },
     "description": {
      "default": "",
      "type": "string",
      "maxLength": 255,
      "pattern": "^[^\\u0000-\\u001f\\u007f]*$",
      "description": "Free text of one line, for people"
     },
     "certificate": {
      "description": "PEM: the server's certificate, then each authority that signed the one before; none while a request awaits its answer",
      "examples": [
       "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n"
      ],
      "type": "string",
      "maxLength": 65536
     },
     "request": {
      "description": "PEM (PKCS #10), for keys made on the box: what the authority signs",
      "examples": [
       "-----BEGIN CERTIFICATE REQUEST-----\nMIHeMIGFAgEAMBQxEjAQBg==\n-----END CERTIFICATE REQUEST-----\n"
      ],
      "type": "string",
      "maxLength": 16384
     }
    },
    "required": [
     "name",
     "description"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "name": "management",
      "description": "signed by our own authority",
      "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n"
     }
    ]
   },
   "Verification": {
    "type": "object",
    "properties": {
     "whole": {
      "type": "boolean",
      "description": "true: nothing is wrong with any generation"
     },
     "generations": {
      "type": "array",
      "items": {
       "type": "object",
       "properties": {
        "generation": {
         "type": "integer",
         "description": "Number of the generation"
        },
        "problem": {
         "description": "What is wrong with it",
         "type": "string"
        }
       },
       "required": [
        "generation"
       ],
       "additionalProperties": false
      },
      "description": "Newest first"
     }
    },
    "required": [
     "whole",
     "generations"
    ],
    "additionalProperties": false,
    "examples": [
     {
      "whole": true,
      "generations": [
       {
        "generation": 7
       }
      ]
     }
    ]
   }
  },
  "headers": {
   "RequestId": {
    "description": "The request's own id, or the one it was sent with; also in the log",
    "schema": {
     "type": "string"
    }
   },
   "RetryAfter": {
    "description": "Seconds to wait (RFC 9110)",
    "schema": {
     "type": "integer"
    }
   },
   "WwwAuthenticate": {
    "description": "How to authenticate (RFC 9110)",
    "schema": {
     "type": "string"
    }
   },
   "ETag": {
    "description": "Tag of the object's content, for If-Match and If-None-Match",
    "schema": {
     "type": "string"
    }
   },
   "Location": {
    "description": "Where the new object is",
    "schema": {
     "type": "string"
    }
   },
   "Link": {
    "description": "The first, previous, next and last page (RFC 8288)",
    "schema": {
     "type": "string"
    }
   },
   "Generation": {
    "description": "The generation of the configuration that is current now",
    "schema": {
     "type": "integer"
    }
   },
   "ConfirmBefore": {
    "description": "When the change goes back unless it is confirmed (RFC 3339)",
    "schema": {
     "type": "string"
    }
   },
   "Warnings": {
    "description": "JSON in ASCII: [{path, message}], at most 20; left out when there are none",
    "schema": {
     "type": "string"
    }
   },
   "Replayed": {
    "description": "true: the answer to an earlier request with the same Idempotency-Key",
    "schema": {
     "type": "string"
    }
   }
  },
  "parameters": {
   "IfMatch": {
    "in": "header",
    "name": "If-Match",
    "required": false,
    "description": "The ETag that was read: a stale change is refused with 412",
    "schema": {
     "type": "string"
    },
    "example": "\"0wlXyjwLTHQqvGrJnQjpmA\""
   },
   "IfNoneMatch": {
    "in": "header",
    "name": "If-None-Match",
    "required": false,
    "description": "GET: an ETag, 304 when nothing changed; PUT: * only creates",
    "schema": {
     "type": "string"
    },
    "example": "*"
   },
   "RequestId": {
    "in": "header",
    "name": "Request-Id",
    "required": false,
    "description": "An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -",
    "schema": {
     "type": "string"
    },
    "example": "deploy-4711"
   },
   "IdempotencyKey": {
    "in": "header",
    "name": "Idempotency-Key",
    "required": false,
    "description": "A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing",
    "schema": {
     "type": "string"
    },
    "example": "8e03978e-40d5-43dd-bc93-6894a57f9324"
   }
  },
  "responses": {
   "Problem400": {
    "description": "`bad-input`: The request is not valid",
    "headers": {
     "Request-Id": {
      "$ref": "#/components/headers/RequestId"
     }
    },
    "content": {
     "application/problem+json": {
      "schema": {
       "$ref": "#/components/schemas/Problem"
      },
      "examples": {
       "bad-input": {
        "value": {
         "title": "The request is not valid",
         "status": 400,
         "detail": "farms.web.backends.b1.port: expected a port from 1 to 65535",
         "code": "bad-input",
         "problems": [
          {
           "path": "farms.web.backends.b1.port",
           "message": "expected a port from 1 to 65535"
          }
         ],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       }
      }
     }
    }
   },
   "Problem401": {
    "description": "`unauthenticated`: Log in first. `second-factor-required`: A second factor is wanted",
    "headers": {
     "Request-Id": {
      "$ref": "#/components/headers/RequestId"
     },
     "WWW-Authenticate": {
      "$ref": "#/components/headers/WwwAuthenticate"
     }
    },
    "content": {
     "application/problem+json": {
      "schema": {
       "$ref": "#/components/schemas/Problem"
      },
      "examples": {
       "unauthenticated": {
        "value": {
         "title": "Log in first",
         "status": 401,
         "detail": "the session has ended: log in again",
         "code": "unauthenticated",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       },
       "second-factor-required": {
        "value": {
         "title": "A second factor is wanted",
         "status": 401,
         "detail": "the password is right; send the challenge with a code of: totp",
         "code": "second-factor-required",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       }
      }
     }
    }
   },
   "Problem403": {
    "description": "`forbidden`: Not allowed",
    "headers": {
     "Request-Id": {
      "$ref": "#/components/headers/RequestId"
     }
    },
    "content": {
     "application/problem+json": {
      "schema": {
       "$ref": "#/components/schemas/Problem"
      },
      "examples": {
       "forbidden": {
        "value": {
         "title": "Not allowed",
         "status": 403,
         "detail": "user guest does not have the permission farms:update",
         "code": "forbidden",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       }
      }
     }
    }
   },
   "Problem404": {
    "description": "`not-found`: There is no such object",
    "headers": {
     "Request-Id": {
      "$ref": "#/components/headers/RequestId"
     }
    },
    "content": {
     "application/problem+json": {
      "schema": {
       "$ref": "#/components/schemas/Problem"
      },
      "examples": {
       "not-found": {
        "value": {
         "title": "There is no such object",
         "status": 404,
         "detail": "there is no farm web",
         "code": "not-found",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       }
      }
     }
    }
   },
   "Problem409": {
    "description": "`exists`: The object exists already. `in-use`: It is in use. `ambiguous`: Several would fit: say which. `awaiting-confirmation`: Another change awaits its confirmation. `key-in-use`: The Idempotency-Key is in use. `too-many-jobs`: Too many jobs wait already. `unended`: The job has not ended. `incompatible`: A newer system wrote it",
    "headers": {
     "Request-Id": {
      "$ref": "#/components/headers/RequestId"
     }
    },
    "content": {
     "application/problem+json": {
      "schema": {
       "$ref": "#/components/schemas/Problem"
      },
      "examples": {
       "exists": {
        "value": {
         "title": "The object exists already",
         "status": 409,
         "detail": "there is a farm web already",
         "code": "exists",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       },
       "in-use": {
        "value": {
         "title": "It is in use",
         "status": 409,
         "detail": "It is in use",
         "code": "in-use",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       },
       "ambiguous": {
        "value": {
         "title": "Several would fit: say which",
         "status": 409,
         "detail": "Several would fit: say which",
         "code": "ambiguous",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       },
       "awaiting-confirmation": {
        "value": {
         "title": "Another change awaits its confirmation",
         "status": 409,
         "detail": "generation 8 by admin (192.0.2.7) awaits its confirmation until 2026-01-02T03:09:05.000Z: confirm it or take it back first",
         "code": "awaiting-confirmation",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       },
       "key-in-use": {
        "value": {
         "title": "The Idempotency-Key is in use",
         "status": 409,
         "detail": "The Idempotency-Key is in use",
         "code": "key-in-use",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       },
       "too-many-jobs": {
        "value": {
         "title": "Too many jobs wait already",
         "status": 409,
         "detail": "Too many jobs wait already",
         "code": "too-many-jobs",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       },
       "unended": {
        "value": {
         "title": "The job has not ended",
         "status": 409,
         "detail": "The job has not ended",
         "code": "unended",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       },
       "incompatible": {
        "value": {
         "title": "A newer system wrote it",
         "status": 409,
         "detail": "A newer system wrote it",
         "code": "incompatible",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       }
      }
     }
    }
   },
   "Problem412": {
    "description": "`stale`: The object changed since it was read",
    "headers": {
     "Request-Id": {
      "$ref": "#/components/headers/RequestId"
     }
    },
    "content": {
     "application/problem+json": {
      "schema": {
       "$ref": "#/components/schemas/Problem"
      },
      "examples": {
       "stale": {
        "value": {
         "title": "The object changed since it was read",
         "status": 412,
         "detail": "farm web changed since it was read: read it again and repeat the change",
         "code": "stale",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       }
      }
     }
    }
   },
   "Problem413": {
    "description": "`too-large`: The request is too large",
    "headers": {
     "Request-Id": {
      "$ref": "#/components/headers/RequestId"
     }
    },
    "content": {
     "application/problem+json": {
      "schema": {
       "$ref": "#/components/schemas/Problem"
      },
      "examples": {
       "too-large": {
        "value": {
         "title": "The request is too large",
         "status": 413,
         "detail": "The request is too large",
         "code": "too-large",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       }
      }
     }
    }
   },
   "Problem415": {
    "description": "`unsupported-type`: The request has a media type that is not understood",
    "headers": {
     "Request-Id": {
      "$ref": "#/components/headers/RequestId"
     }
    },
    "content": {
     "application/problem+json": {
      "schema": {
       "$ref": "#/components/schemas/Problem"
      },
      "examples": {
       "unsupported-type": {
        "value": {
         "title": "The request has a media type that is not understood",
         "status": 415,
         "detail": "The request has a media type that is not understood",
         "code": "unsupported-type",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       }
      }
     }
    }
   },
   "Problem422": {
    "description": "`invalid-configuration`: The configuration is not valid. `bad-backup`: The backup cannot be used. `key-reused`: The Idempotency-Key was used for another request",
    "headers": {
     "Request-Id": {
      "$ref": "#/components/headers/RequestId"
     }
    },
    "content": {
     "application/problem+json": {
      "schema": {
       "$ref": "#/components/schemas/Problem"
      },
      "examples": {
       "invalid-configuration": {
        "value": {
         "title": "The configuration is not valid",
         "status": 422,
         "detail": "farms.web.virtualAddresses.0: the box does not have this address",
         "code": "invalid-configuration",
         "problems": [
          {
           "path": "farms.web.virtualAddresses.0",
           "message": "the box does not have this address"
          }
         ],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       },
       "bad-backup": {
        "value": {
         "title": "The backup cannot be used",
         "status": 422,
         "detail": "The backup cannot be used",
         "code": "bad-backup",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       },
       "key-reused": {
        "value": {
         "title": "The Idempotency-Key was used for another request",
         "status": 422,
         "detail": "The Idempotency-Key was used for another request",
         "code": "key-reused",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       }
      }
     }
    }
   },
   "Problem429": {
    "description": "`too-many-requests`: Too many requests",
    "headers": {
     "Request-Id": {
      "$ref": "#/components/headers/RequestId"
     },
     "Retry-After": {
      "$ref": "#/components/headers/RetryAfter"
     }
    },
    "content": {
     "application/problem+json": {
      "schema": {
       "$ref": "#/components/schemas/Problem"
      },
      "examples": {
       "too-many-requests": {
        "value": {
         "title": "Too many requests",
         "status": 429,
         "detail": "try again in 5 s",
         "code": "too-many-requests",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       }
      }
     }
    }
   },
   "Problem500": {
    "description": "`command-failed`: A command failed. `corrupt`: Stored data is damaged. `internal`: Internal error",
    "headers": {
     "Request-Id": {
      "$ref": "#/components/headers/RequestId"
     }
    },
    "content": {
     "application/problem+json": {
      "schema": {
       "$ref": "#/components/schemas/Problem"
      },
      "examples": {
       "command-failed": {
        "value": {
         "title": "A command failed",
         "status": 500,
         "detail": "A command failed",
         "code": "command-failed",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       },
       "corrupt": {
        "value": {
         "title": "Stored data is damaged",
         "status": 500,
         "detail": "Stored data is damaged",
         "code": "corrupt",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       },
       "internal": {
        "value": {
         "title": "Internal error",
         "status": 500,
         "detail": "Internal error",
         "code": "internal",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       }
      }
     }
    }
   },
   "Problem502": {
    "description": "`apply-failed`: The change could not be applied and was taken back",
    "headers": {
     "Request-Id": {
      "$ref": "#/components/headers/RequestId"
     }
    },
    "content": {
     "application/problem+json": {
      "schema": {
       "$ref": "#/components/schemas/Problem"
      },
      "examples": {
       "apply-failed": {
        "value": {
         "title": "The change could not be applied and was taken back",
         "status": 502,
         "detail": "l4: add farm web: nftlb: no answer (everything was put back)",
         "code": "apply-failed",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       }
      }
     }
    }
   },
   "Problem503": {
    "description": "`not-ready`: The appliance is not ready",
    "headers": {
     "Request-Id": {
      "$ref": "#/components/headers/RequestId"
     }
    },
    "content": {
     "application/problem+json": {
      "schema": {
       "$ref": "#/components/schemas/Problem"
      },
      "examples": {
       "not-ready": {
        "value": {
         "title": "The appliance is not ready",
         "status": 503,
         "detail": "The appliance is not ready",
         "code": "not-ready",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       }
      }
     }
    }
   },
   "Problem507": {
    "description": "`disk-full`: The disk is full, and nothing was changed",
    "headers": {
     "Request-Id": {
      "$ref": "#/components/headers/RequestId"
     }
    },
    "content": {
     "application/problem+json": {
      "schema": {
       "$ref": "#/components/schemas/Problem"
      },
      "examples": {
       "disk-full": {
        "value": {
         "title": "The disk is full, and nothing was changed",
         "status": 507,
         "detail": "The disk is full, and nothing was changed",
         "code": "disk-full",
         "problems": [],
         "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11"
        }
       }
      }
     }
    }
   }
  }
 },
 "paths": {
  "/api/v1/sessions": {
   "post": {
    "operationId": "createSession",
    "summary": "Log in",
    "tags": [
     "Sessions"
    ],
    "description": "Answers with a token for the header Authorization. When a second factor is wanted, 401 second-factor-required has a challenge: send it here with a code. Wrong passwords cost time: see Retry-After.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "anyOf": [
         {
          "$ref": "#/components/schemas/CredentialsInput"
         },
         {
          "$ref": "#/components/schemas/SecondFactorInput"
         }
        ]
       },
       "example": {
        "user": "admin",
        "password": "correct horse battery"
       }
      }
     }
    },
    "security": [],
    "x-permission": "public",
    "responses": {
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Session"
        },
        "example": {
         "token": "b3Jhbmdlcy1hcmUtbm90LXRoZS1vbmx5LWZydWl0cy4",
         "expires": "2026-01-01T20:00:00.000Z"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   },
   "delete": {
    "operationId": "deleteSession",
    "summary": "Log out",
    "tags": [
     "Sessions"
    ],
    "description": "The token of this request ends.",
    "x-permission": "self:delete",
    "responses": {
     "204": {
      "description": "Ended",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/access/me": {
   "get": {
    "operationId": "getCaller",
    "summary": "Read who is calling, and what it may do",
    "tags": [
     "Sessions"
    ],
    "description": "A browser finds the token for the header X-CSRF-Token here.",
    "x-permission": "self:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Caller"
        },
        "example": {
         "user": "anna",
         "fullName": "Anna Berg",
         "source": "192.0.2.20",
         "means": "session",
         "permissions": [
          {
           "permission": "farms:*",
           "names": [
            "shop-*"
           ]
          },
          {
           "permission": "self:*"
          }
         ]
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/access/me/password": {
   "put": {
    "operationId": "changeOwnPassword",
    "summary": "Change the own password",
    "tags": [
     "Sessions"
    ],
    "description": "Ends all sessions of the caller, this one too.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/PasswordChangeInput"
       },
       "example": {
        "current": "correct horse battery",
        "password": "a better one than that"
       }
      }
     }
    },
    "x-permission": "self:update",
    "responses": {
     "204": {
      "description": "Changed",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/access/me/ssh-keys": {
   "put": {
    "operationId": "putOwnSshKeys",
    "summary": "Replace the own SSH keys",
    "tags": [
     "Sessions"
    ],
    "description": "For the shell of the box, which takes the permission shell:use.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/OwnSshKeysInput"
       },
       "example": {
        "sshKeys": [
         "ssh-ed25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA anna"
        ]
       }
      }
     }
    },
    "x-permission": "self:update",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/OwnSshKeys"
        },
        "example": {
         "sshKeys": [
          "ssh-ed25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA anna"
         ]
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/access/sessions": {
   "get": {
    "operationId": "listSessions",
    "summary": "List sessions",
    "tags": [
     "Sessions"
    ],
    "description": "The caller's own; everybody's for whom access:read is permitted. Newest first.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "minLength": 1,
       "maxLength": 64
      },
      "in": "query",
      "name": "user",
      "required": false,
      "description": "Only sessions of this user"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "self:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/OpenSession"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "id": "9f86d081884c7d65",
           "user": "anna",
           "source": "192.0.2.20",
           "means": "session",
           "opened": "2026-01-01T08:00:00.000Z",
           "used": "2026-01-01T08:10:00.000Z",
           "expires": "2026-01-01T20:00:00.000Z",
           "current": true
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "delete": {
    "operationId": "revokeSessions",
    "summary": "End all sessions of a user",
    "tags": [
     "Sessions"
    ],
    "description": "The caller's own unless told; another's with access:delete. The session of this request ends too.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "minLength": 1,
       "maxLength": 64
      },
      "in": "query",
      "name": "user",
      "required": false,
      "description": "Left out, the caller"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "self:delete",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "ended": {
           "type": "integer",
           "description": "How many"
          }
         },
         "required": [
          "ended"
         ],
         "additionalProperties": false,
         "description": "Done"
        },
        "example": {
         "ended": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/access/sessions/{session}": {
   "delete": {
    "operationId": "revokeSession",
    "summary": "End a session",
    "tags": [
     "Sessions"
    ],
    "description": "One's own; anybody's with access:delete.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[0-9a-f]{16}$"
      },
      "in": "path",
      "name": "session",
      "required": true,
      "description": "Id of the session"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "self:delete",
    "responses": {
     "204": {
      "description": "Ended",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/access/lockouts": {
   "get": {
    "operationId": "listLockouts",
    "summary": "List users who have to wait",
    "tags": [
     "Sessions"
    ],
    "description": "After too many wrong passwords; in memory, so gone when the agent restarts.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/Lockout"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "user": "anna",
           "attempts": 14,
           "until": "2026-01-01T08:00:08.000Z"
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/access/lockouts/{user}": {
   "delete": {
    "operationId": "deleteLockout",
    "summary": "Let a user try again at once",
    "tags": [
     "Sessions"
    ],
    "description": "The delay of an address stays.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "minLength": 1,
       "maxLength": 64
      },
      "in": "path",
      "name": "user",
      "required": true,
      "description": "Name of the user"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:update",
    "responses": {
     "204": {
      "description": "Done, whether there was a delay or not",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/access/users": {
   "get": {
    "operationId": "listUsers",
    "summary": "List users",
    "tags": [
     "Users"
    ],
    "description": "Every user with all its fields; filtered, sorted and in pages when asked for.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "sort",
      "required": false,
      "description": "Fields with commas between them, - before one for descending order; name unless told"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "fields",
      "required": false,
      "description": "Only these fields of each object, with commas between them: name, fullName, description, source, groups, roles, sshKeys, disabled, expires"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "name",
      "required": false,
      "description": "Only those whose name is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "fullName",
      "required": false,
      "description": "Only those whose fullName is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "description",
      "required": false,
      "description": "Only those whose description is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "source",
      "required": false,
      "description": "Only those whose source is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "groups",
      "required": false,
      "description": "Only those whose groups is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "roles",
      "required": false,
      "description": "Only those whose roles is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "sshKeys",
      "required": false,
      "description": "Only those whose sshKeys is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "disabled",
      "required": false,
      "description": "Only those whose disabled is this (true or false); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "expires",
      "required": false,
      "description": "Only those whose expires is this (any characters stand in for *); several times: one of these"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/NamedUser"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "name": "anna",
           "fullName": "Anna Berg",
           "roles": [
            "operator"
           ],
           "description": "",
           "source": "local",
           "groups": [],
           "sshKeys": [],
           "disabled": false
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "post": {
    "operationId": "createUser",
    "summary": "Create an user",
    "tags": [
     "Users"
    ],
    "description": "The user with its name. Fields that are left out get their defaults; a name that is taken is refused.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/NewUserInput"
       },
       "example": {
        "name": "anna",
        "fullName": "Anna Berg",
        "roles": [
         "operator"
        ],
        "password": "correct horse battery"
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:create",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedUser"
        },
        "example": {
         "name": "anna",
         "fullName": "Anna Berg",
         "roles": [
          "operator"
         ],
         "description": "",
         "source": "local",
         "groups": [],
         "sshKeys": [],
         "disabled": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/access/users/{user}": {
   "get": {
    "operationId": "getUser",
    "summary": "Read an user",
    "tags": [
     "Users"
    ],
    "description": "With all its fields, defaults filled in: what was read can be put back as it is.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z][a-z0-9_-]{0,31}$"
      },
      "example": "anna",
      "in": "path",
      "name": "user",
      "required": true,
      "description": "Name of the user"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedUser"
        },
        "example": {
         "name": "anna",
         "fullName": "Anna Berg",
         "roles": [
          "operator"
         ],
         "description": "",
         "source": "local",
         "groups": [],
         "sshKeys": [],
         "disabled": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "304": {
      "description": "The tag of If-None-Match still holds",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "put": {
    "operationId": "putUser",
    "summary": "Create an user or replace it whole",
    "tags": [
     "Users"
    ],
    "description": "Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/UserReplacementInput"
       },
       "example": {
        "fullName": "Anna Berg",
        "roles": [
         "operator"
        ],
        "password": "correct horse battery"
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z][a-z0-9_-]{0,31}$"
      },
      "example": "anna",
      "in": "path",
      "name": "user",
      "required": true,
      "description": "Name of the user"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:update",
    "responses": {
     "200": {
      "description": "The user; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedUser"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The user; for a dry run, the plan"
        },
        "example": {
         "name": "anna",
         "fullName": "Anna Berg",
         "roles": [
          "operator"
         ],
         "description": "",
         "source": "local",
         "groups": [],
         "sshKeys": [],
         "disabled": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedUser"
        },
        "example": {
         "name": "anna",
         "fullName": "Anna Berg",
         "roles": [
          "operator"
         ],
         "description": "",
         "source": "local",
         "groups": [],
         "sshKeys": [],
         "disabled": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "patch": {
    "operationId": "patchUser",
    "summary": "Change fields of an user (JSON merge patch, RFC 7396)",
    "tags": [
     "Users"
    ],
    "description": "Fields that are left out stay; null takes one back to its default, or removes a member.",
    "requestBody": {
     "required": true,
     "content": {
      "application/merge-patch+json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      },
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z][a-z0-9_-]{0,31}$"
      },
      "example": "anna",
      "in": "path",
      "name": "user",
      "required": true,
      "description": "Name of the user"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:update",
    "responses": {
     "200": {
      "description": "The user; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedUser"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The user; for a dry run, the plan"
        },
        "example": {
         "name": "anna",
         "fullName": "Anna Berg",
         "roles": [
          "operator"
         ],
         "description": "",
         "source": "local",
         "groups": [],
         "sshKeys": [],
         "disabled": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "delete": {
    "operationId": "deleteUser",
    "summary": "Delete an user",
    "tags": [
     "Users"
    ],
    "description": "Refused while something else needs the user.",
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z][a-z0-9_-]{0,31}$"
      },
      "example": "anna",
      "in": "path",
      "name": "user",
      "required": true,
      "description": "Name of the user"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:delete",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "204": {
      "description": "Deleted",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/access/groups": {
   "get": {
    "operationId": "listGroups",
    "summary": "List groups",
    "tags": [
     "Groups"
    ],
    "description": "Every group with all its fields; filtered, sorted and in pages when asked for.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "sort",
      "required": false,
      "description": "Fields with commas between them, - before one for descending order; name unless told"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "fields",
      "required": false,
      "description": "Only these fields of each object, with commas between them: name, description, roles"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "name",
      "required": false,
      "description": "Only those whose name is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "description",
      "required": false,
      "description": "Only those whose description is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "roles",
      "required": false,
      "description": "Only those whose roles is this (any characters stand in for *); several times: one of these"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/NamedGroup"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "name": "web-team",
           "description": "Runs the shop",
           "roles": [
            "shop"
           ]
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "post": {
    "operationId": "createGroup",
    "summary": "Create a group",
    "tags": [
     "Groups"
    ],
    "description": "The group with its name. Fields that are left out get their defaults; a name that is taken is refused.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/NamedGroupInput"
       },
       "example": {
        "name": "web-team",
        "description": "Runs the shop",
        "roles": [
         "shop"
        ]
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:create",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedGroup"
        },
        "example": {
         "name": "web-team",
         "description": "Runs the shop",
         "roles": [
          "shop"
         ]
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/access/groups/{group}": {
   "get": {
    "operationId": "getGroup",
    "summary": "Read a group",
    "tags": [
     "Groups"
    ],
    "description": "With all its fields, defaults filled in: what was read can be put back as it is.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "group",
      "required": true,
      "description": "Name of the group"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedGroup"
        },
        "example": {
         "name": "web-team",
         "description": "Runs the shop",
         "roles": [
          "shop"
         ]
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "304": {
      "description": "The tag of If-None-Match still holds",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "put": {
    "operationId": "putGroup",
    "summary": "Create a group or replace it whole",
    "tags": [
     "Groups"
    ],
    "description": "Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/GroupReplacementInput"
       },
       "example": {
        "description": "Runs the shop",
        "roles": [
         "shop"
        ]
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "group",
      "required": true,
      "description": "Name of the group"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:update",
    "responses": {
     "200": {
      "description": "The group; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedGroup"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The group; for a dry run, the plan"
        },
        "example": {
         "name": "web-team",
         "description": "Runs the shop",
         "roles": [
          "shop"
         ]
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedGroup"
        },
        "example": {
         "name": "web-team",
         "description": "Runs the shop",
         "roles": [
          "shop"
         ]
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "patch": {
    "operationId": "patchGroup",
    "summary": "Change fields of a group (JSON merge patch, RFC 7396)",
    "tags": [
     "Groups"
    ],
    "description": "Fields that are left out stay; null takes one back to its default, or removes a member.",
    "requestBody": {
     "required": true,
     "content": {
      "application/merge-patch+json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      },
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "group",
      "required": true,
      "description": "Name of the group"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:update",
    "responses": {
     "200": {
      "description": "The group; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedGroup"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The group; for a dry run, the plan"
        },
        "example": {
         "name": "web-team",
         "description": "Runs the shop",
         "roles": [
          "shop"
         ]
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "delete": {
    "operationId": "deleteGroup",
    "summary": "Delete a group",
    "tags": [
     "Groups"
    ],
    "description": "Refused while something else needs the group.",
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "group",
      "required": true,
      "description": "Name of the group"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:delete",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "204": {
      "description": "Deleted",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/access/roles": {
   "get": {
    "operationId": "listRoles",
    "summary": "List roles",
    "tags": [
     "Roles"
    ],
    "description": "Every role with all its fields; filtered, sorted and in pages when asked for.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "sort",
      "required": false,
      "description": "Fields with commas between them, - before one for descending order; name unless told"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "fields",
      "required": false,
      "description": "Only these fields of each object, with commas between them: name, description, permissions, bindings"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "name",
      "required": false,
      "description": "Only those whose name is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "description",
      "required": false,
      "description": "Only those whose description is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "permissions",
      "required": false,
      "description": "Only those whose permissions is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bindings.farms",
      "required": false,
      "description": "Only those whose bindings.farms is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bindings.interfaces",
      "required": false,
      "description": "Only those whose bindings.interfaces is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bindings.certificates",
      "required": false,
      "description": "Only those whose bindings.certificates is this (any characters stand in for *); several times: one of these"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/NamedRole"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "name": "shop",
           "description": "Farms of the shop",
           "permissions": [
            "farms:*",
            "statistics:read"
           ],
           "bindings": {
            "farms": [
             "shop-*"
            ]
           }
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "post": {
    "operationId": "createRole",
    "summary": "Create a role",
    "tags": [
     "Roles"
    ],
    "description": "The role with its name. Fields that are left out get their defaults; a name that is taken is refused.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/NamedRoleInput"
       },
       "example": {
        "name": "shop",
        "description": "Farms of the shop",
        "permissions": [
         "farms:*",
         "statistics:read"
        ],
        "bindings": {
         "farms": [
          "shop-*"
         ]
        }
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:create",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedRole"
        },
        "example": {
         "name": "shop",
         "description": "Farms of the shop",
         "permissions": [
          "farms:*",
          "statistics:read"
         ],
         "bindings": {
          "farms": [
           "shop-*"
          ]
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/access/roles/{role}": {
   "get": {
    "operationId": "getRole",
    "summary": "Read a role",
    "tags": [
     "Roles"
    ],
    "description": "With all its fields, defaults filled in: what was read can be put back as it is.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "role",
      "required": true,
      "description": "Name of the role"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedRole"
        },
        "example": {
         "name": "shop",
         "description": "Farms of the shop",
         "permissions": [
          "farms:*",
          "statistics:read"
         ],
         "bindings": {
          "farms": [
           "shop-*"
          ]
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "304": {
      "description": "The tag of If-None-Match still holds",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "put": {
    "operationId": "putRole",
    "summary": "Create a role or replace it whole",
    "tags": [
     "Roles"
    ],
    "description": "Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/RoleReplacementInput"
       },
       "example": {
        "description": "Farms of the shop",
        "permissions": [
         "farms:*",
         "statistics:read"
        ],
        "bindings": {
         "farms": [
          "shop-*"
         ]
        }
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "role",
      "required": true,
      "description": "Name of the role"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:update",
    "responses": {
     "200": {
      "description": "The role; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedRole"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The role; for a dry run, the plan"
        },
        "example": {
         "name": "shop",
         "description": "Farms of the shop",
         "permissions": [
          "farms:*",
          "statistics:read"
         ],
         "bindings": {
          "farms": [
           "shop-*"
          ]
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedRole"
        },
        "example": {
         "name": "shop",
         "description": "Farms of the shop",
         "permissions": [
          "farms:*",
          "statistics:read"
         ],
         "bindings": {
          "farms": [
           "shop-*"
          ]
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "patch": {
    "operationId": "patchRole",
    "summary": "Change fields of a role (JSON merge patch, RFC 7396)",
    "tags": [
     "Roles"
    ],
    "description": "Fields that are left out stay; null takes one back to its default, or removes a member.",
    "requestBody": {
     "required": true,
     "content": {
      "application/merge-patch+json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      },
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "role",
      "required": true,
      "description": "Name of the role"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:update",
    "responses": {
     "200": {
      "description": "The role; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedRole"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The role; for a dry run, the plan"
        },
        "example": {
         "name": "shop",
         "description": "Farms of the shop",
         "permissions": [
          "farms:*",
          "statistics:read"
         ],
         "bindings": {
          "farms": [
           "shop-*"
          ]
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "delete": {
    "operationId": "deleteRole",
    "summary": "Delete a role",
    "tags": [
     "Roles"
    ],
    "description": "Refused while something else needs the role.",
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "role",
      "required": true,
      "description": "Name of the role"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:delete",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "204": {
      "description": "Deleted",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/access/settings": {
   "get": {
    "operationId": "getAccessSettings",
    "summary": "Read the settings of logins",
    "tags": [
     "Sessions"
    ],
    "description": "How long a session lasts.",
    "x-permission": "access:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/AccessSettings"
        },
        "example": {
         "sessions": {
          "idleMinutes": 30,
          "absoluteMinutes": 720
         },
         "secondFactor": {
          "roles": []
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "304": {
      "description": "The tag of If-None-Match still holds",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   },
   "put": {
    "operationId": "putAccessSettings",
    "summary": "Replace the settings of logins",
    "tags": [
     "Sessions"
    ],
    "description": "Fields that are left out go back to their defaults.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/AccessSettingsInput"
       },
       "example": {
        "sessions": {},
        "secondFactor": {}
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:update",
    "responses": {
     "200": {
      "description": "The settings; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/AccessSettings"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The settings; for a dry run, the plan"
        },
        "example": {
         "sessions": {
          "idleMinutes": 30,
          "absoluteMinutes": 720
         },
         "secondFactor": {
          "roles": []
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "patch": {
    "operationId": "patchAccessSettings",
    "summary": "Change some of the settings of logins (JSON merge patch, RFC 7396)",
    "tags": [
     "Sessions"
    ],
    "description": "Fields that are left out stay; null takes one back to its default.",
    "requestBody": {
     "required": true,
     "content": {
      "application/merge-patch+json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      },
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:update",
    "responses": {
     "200": {
      "description": "The settings; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/AccessSettings"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The settings; for a dry run, the plan"
        },
        "example": {
         "sessions": {
          "idleMinutes": 30,
          "absoluteMinutes": 720
         },
         "secondFactor": {
          "roles": []
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/access/api-keys": {
   "get": {
    "operationId": "listApiKeys",
    "summary": "List API keys",
    "tags": [
     "API keys"
    ],
    "description": "The caller's own; everybody's for whom access:read is permitted. The keys themselves are shown once, when made.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "self:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/ShownApiKey"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "id": "k7mq2xwp",
           "description": "nightly report",
           "owner": "anna",
           "roles": [
            "read-only"
           ],
           "networks": [
            "192.0.2.0/24"
           ],
           "created": "2026-01-01T08:00:00.000Z",
           "expires": "2027-01-01T00:00:00.000Z"
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "post": {
    "operationId": "createApiKey",
    "summary": "Make an API key",
    "tags": [
     "API keys"
    ],
    "description": "Its roles may allow no more than the caller may do; what it may do is looked up at each use and ends with the rights of its owner.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/NewApiKeyInput"
       },
       "example": {
        "description": "nightly report",
        "roles": [
         "read-only"
        ],
        "networks": [
         "192.0.2.0/24"
        ]
       }
      }
     }
    },
    "x-permission": "self:create",
    "responses": {
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/MadeApiKey"
        },
        "example": {
         "id": "k7mq2xwp",
         "description": "nightly report",
         "owner": "anna",
         "roles": [
          "read-only"
         ],
         "networks": [
          "192.0.2.0/24"
         ],
         "created": "2026-01-01T08:00:00.000Z",
         "expires": "2027-01-01T00:00:00.000Z",
         "key": "sty_k7mq2xwp_b3Jhbmdlcy1hcmUtbm90LXRoZS1vbmx5LWZydWl0cy4"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/access/api-keys/{key}": {
   "get": {
    "operationId": "getApiKey",
    "summary": "Read an API key",
    "tags": [
     "API keys"
    ],
    "description": "What it may do and when it was last used; not the key itself.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9]{1,63}$"
      },
      "in": "path",
      "name": "key",
      "required": true,
      "description": "Id of the key"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "self:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/ShownApiKey"
        },
        "example": {
         "id": "k7mq2xwp",
         "description": "nightly report",
         "owner": "anna",
         "roles": [
          "read-only"
         ],
         "networks": [
          "192.0.2.0/24"
         ],
         "created": "2026-01-01T08:00:00.000Z",
         "expires": "2027-01-01T00:00:00.000Z"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "delete": {
    "operationId": "deleteApiKey",
    "summary": "Delete an API key",
    "tags": [
     "API keys"
    ],
    "description": "It is refused from then on. Another's takes access:delete.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9]{1,63}$"
      },
      "in": "path",
      "name": "key",
      "required": true,
      "description": "Id of the key"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "self:delete",
    "responses": {
     "204": {
      "description": "Deleted",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/access/directories": {
   "get": {
    "operationId": "listDirectories",
    "summary": "List directories",
    "tags": [
     "Directories"
    ],
    "description": "Every directory with all its fields; filtered, sorted and in pages when asked for.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "sort",
      "required": false,
      "description": "Fields with commas between them, - before one for descending order; name unless told"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "fields",
      "required": false,
      "description": "Only these fields of each object, with commas between them: name, description, enabled, order, servers, allowUnencrypted, caCertificates, pinnedCertificates, serverName, bindDn, userTemplate, baseDn, userFilter, groupLookup, groupBaseDn, groupFilter, nestedGroups, groupRoles, defaultRoles, timeoutSeconds, recheckMinutes, graceMinutes"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "name",
      "required": false,
      "description": "Only those whose name is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "description",
      "required": false,
      "description": "Only those whose description is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "enabled",
      "required": false,
      "description": "Only those whose enabled is this (true or false); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "order",
      "required": false,
      "description": "Only those whose order is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "servers",
      "required": false,
      "description": "Only those whose servers is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "allowUnencrypted",
      "required": false,
      "description": "Only those whose allowUnencrypted is this (true or false); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "caCertificates",
      "required": false,
      "description": "Only those whose caCertificates is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "pinnedCertificates",
      "required": false,
      "description": "Only those whose pinnedCertificates is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "serverName",
      "required": false,
      "description": "Only those whose serverName is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bindDn",
      "required": false,
      "description": "Only those whose bindDn is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "userTemplate",
      "required": false,
      "description": "Only those whose userTemplate is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "baseDn",
      "required": false,
      "description": "Only those whose baseDn is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "userFilter",
      "required": false,
      "description": "Only those whose userFilter is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "groupLookup",
      "required": false,
      "description": "Only those whose groupLookup is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "groupBaseDn",
      "required": false,
      "description": "Only those whose groupBaseDn is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "groupFilter",
      "required": false,
      "description": "Only those whose groupFilter is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "nestedGroups",
      "required": false,
      "description": "Only those whose nestedGroups is this (true or false); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "groupRoles.group",
      "required": false,
      "description": "Only those whose groupRoles.group is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "groupRoles.roles",
      "required": false,
      "description": "Only those whose groupRoles.roles is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "defaultRoles",
      "required": false,
      "description": "Only those whose defaultRoles is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "timeoutSeconds",
      "required": false,
      "description": "Only those whose timeoutSeconds is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "recheckMinutes",
      "required": false,
      "description": "Only those whose recheckMinutes is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "graceMinutes",
      "required": false,
      "description": "Only those whose graceMinutes is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/NamedDirectory"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "name": "corp",
           "servers": [
            "ldaps://ldap1.example.com",
            "ldaps://ldap2.example.com"
           ],
           "bindDn": "cn=steelyard,ou=services,dc=example,dc=com",
           "baseDn": "dc=example,dc=com",
           "userFilter": "(uid={user})",
           "groupRoles": [
            {
             "group": "cn=network,ou=groups,dc=example,dc=com",
             "roles": [
              "operator"
             ]
            }
           ],
           "description": "",
           "enabled": true,
           "order": 100,
           "allowUnencrypted": false,
           "pinnedCertificates": [],
           "groupLookup": "memberOf",
           "groupFilter": "(|(member={dn})(uniqueMember={dn})(memberUid={user}))",
           "nestedGroups": false,
           "defaultRoles": [],
           "timeoutSeconds": 5,
           "recheckMinutes": 5,
           "graceMinutes": 60
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "post": {
    "operationId": "createDirectory",
    "summary": "Create a directory",
    "tags": [
     "Directories"
    ],
    "description": "The directory with its name. Fields that are left out get their defaults; a name that is taken is refused.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/NewDirectoryInput"
       },
       "example": {
        "name": "corp",
        "servers": [
         "ldaps://ldap1.example.com",
         "ldaps://ldap2.example.com"
        ],
        "bindDn": "cn=steelyard,ou=services,dc=example,dc=com",
        "baseDn": "dc=example,dc=com",
        "userFilter": "(uid={user})",
        "groupRoles": [
         {
          "group": "cn=network,ou=groups,dc=example,dc=com",
          "roles": [
           "operator"
          ]
         }
        ],
        "bindPassword": "a password of its own"
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:create",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedDirectory"
        },
        "example": {
         "name": "corp",
         "servers": [
          "ldaps://ldap1.example.com",
          "ldaps://ldap2.example.com"
         ],
         "bindDn": "cn=steelyard,ou=services,dc=example,dc=com",
         "baseDn": "dc=example,dc=com",
         "userFilter": "(uid={user})",
         "groupRoles": [
          {
           "group": "cn=network,ou=groups,dc=example,dc=com",
           "roles": [
            "operator"
           ]
          }
         ],
         "description": "",
         "enabled": true,
         "order": 100,
         "allowUnencrypted": false,
         "pinnedCertificates": [],
         "groupLookup": "memberOf",
         "groupFilter": "(|(member={dn})(uniqueMember={dn})(memberUid={user}))",
         "nestedGroups": false,
         "defaultRoles": [],
         "timeoutSeconds": 5,
         "recheckMinutes": 5,
         "graceMinutes": 60
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/access/directories/{directory}": {
   "get": {
    "operationId": "getDirectory",
    "summary": "Read a directory",
    "tags": [
     "Directories"
    ],
    "description": "With all its fields, defaults filled in: what was read can be put back as it is.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "directory",
      "required": true,
      "description": "Name of the directory"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedDirectory"
        },
        "example": {
         "name": "corp",
         "servers": [
          "ldaps://ldap1.example.com",
          "ldaps://ldap2.example.com"
         ],
         "bindDn": "cn=steelyard,ou=services,dc=example,dc=com",
         "baseDn": "dc=example,dc=com",
         "userFilter": "(uid={user})",
         "groupRoles": [
          {
           "group": "cn=network,ou=groups,dc=example,dc=com",
           "roles": [
            "operator"
           ]
          }
         ],
         "description": "",
         "enabled": true,
         "order": 100,
         "allowUnencrypted": false,
         "pinnedCertificates": [],
         "groupLookup": "memberOf",
         "groupFilter": "(|(member={dn})(uniqueMember={dn})(memberUid={user}))",
         "nestedGroups": false,
         "defaultRoles": [],
         "timeoutSeconds": 5,
         "recheckMinutes": 5,
         "graceMinutes": 60
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "304": {
      "description": "The tag of If-None-Match still holds",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "put": {
    "operationId": "putDirectory",
    "summary": "Create a directory or replace it whole",
    "tags": [
     "Directories"
    ],
    "description": "Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/DirectoryReplacementInput"
       },
       "example": {
        "servers": [
         "ldaps://ldap1.example.com",
         "ldaps://ldap2.example.com"
        ],
        "bindDn": "cn=steelyard,ou=services,dc=example,dc=com",
        "baseDn": "dc=example,dc=com",
        "userFilter": "(uid={user})",
        "groupRoles": [
         {
          "group": "cn=network,ou=groups,dc=example,dc=com",
          "roles": [
           "operator"
          ]
         }
        ],
        "bindPassword": "a password of its own"
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "directory",
      "required": true,
      "description": "Name of the directory"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:update",
    "responses": {
     "200": {
      "description": "The directory; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedDirectory"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The directory; for a dry run, the plan"
        },
        "example": {
         "name": "corp",
         "servers": [
          "ldaps://ldap1.example.com",
          "ldaps://ldap2.example.com"
         ],
         "bindDn": "cn=steelyard,ou=services,dc=example,dc=com",
         "baseDn": "dc=example,dc=com",
         "userFilter": "(uid={user})",
         "groupRoles": [
          {
           "group": "cn=network,ou=groups,dc=example,dc=com",
           "roles": [
            "operator"
           ]
          }
         ],
         "description": "",
         "enabled": true,
         "order": 100,
         "allowUnencrypted": false,
         "pinnedCertificates": [],
         "groupLookup": "memberOf",
         "groupFilter": "(|(member={dn})(uniqueMember={dn})(memberUid={user}))",
         "nestedGroups": false,
         "defaultRoles": [],
         "timeoutSeconds": 5,
         "recheckMinutes": 5,
         "graceMinutes": 60
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedDirectory"
        },
        "example": {
         "name": "corp",
         "servers": [
          "ldaps://ldap1.example.com",
          "ldaps://ldap2.example.com"
         ],
         "bindDn": "cn=steelyard,ou=services,dc=example,dc=com",
         "baseDn": "dc=example,dc=com",
         "userFilter": "(uid={user})",
         "groupRoles": [
          {
           "group": "cn=network,ou=groups,dc=example,dc=com",
           "roles": [
            "operator"
           ]
          }
         ],
         "description": "",
         "enabled": true,
         "order": 100,
         "allowUnencrypted": false,
         "pinnedCertificates": [],
         "groupLookup": "memberOf",
         "groupFilter": "(|(member={dn})(uniqueMember={dn})(memberUid={user}))",
         "nestedGroups": false,
         "defaultRoles": [],
         "timeoutSeconds": 5,
         "recheckMinutes": 5,
         "graceMinutes": 60
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "patch": {
    "operationId": "patchDirectory",
    "summary": "Change fields of a directory (JSON merge patch, RFC 7396)",
    "tags": [
     "Directories"
    ],
    "description": "Fields that are left out stay; null takes one back to its default, or removes a member.",
    "requestBody": {
     "required": true,
     "content": {
      "application/merge-patch+json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      },
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "directory",
      "required": true,
      "description": "Name of the directory"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:update",
    "responses": {
     "200": {
      "description": "The directory; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedDirectory"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The directory; for a dry run, the plan"
        },
        "example": {
         "name": "corp",
         "servers": [
          "ldaps://ldap1.example.com",
          "ldaps://ldap2.example.com"
         ],
         "bindDn": "cn=steelyard,ou=services,dc=example,dc=com",
         "baseDn": "dc=example,dc=com",
         "userFilter": "(uid={user})",
         "groupRoles": [
          {
           "group": "cn=network,ou=groups,dc=example,dc=com",
           "roles": [
            "operator"
           ]
          }
         ],
         "description": "",
         "enabled": true,
         "order": 100,
         "allowUnencrypted": false,
         "pinnedCertificates": [],
         "groupLookup": "memberOf",
         "groupFilter": "(|(member={dn})(uniqueMember={dn})(memberUid={user}))",
         "nestedGroups": false,
         "defaultRoles": [],
         "timeoutSeconds": 5,
         "recheckMinutes": 5,
         "graceMinutes": 60
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "delete": {
    "operationId": "deleteDirectory",
    "summary": "Delete a directory",
    "tags": [
     "Directories"
    ],
    "description": "Refused while something else needs the directory.",
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "directory",
      "required": true,
      "description": "Name of the directory"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:delete",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "204": {
      "description": "Deleted",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/access/directories/{directory}/test": {
   "post": {
    "operationId": "testDirectory",
    "summary": "Try a directory with a user and a password, and tell each step",
    "tags": [
     "Directories"
    ],
    "description": "Opens no session and changes nothing. From the 11th try of a user on each one has to wait.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/DirectoryCredentialsInput"
       },
       "example": {
        "user": "anna",
        "password": "correct horse battery"
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "directory",
      "required": true,
      "description": "Name of the directory"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:update",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/DirectoryTest"
        },
        "example": {
         "accepted": true,
         "reason": "uid=anna,ou=people,dc=example,dc=com holds operator",
         "steps": [
          {
           "step": "connect",
           "server": "ldaps://ldap1.example.com",
           "ok": true,
           "detail": "ldap1.example.com:636"
          },
          {
           "step": "roles",
           "server": "ldaps://ldap1.example.com",
           "ok": true,
           "detail": "operator"
          }
         ],
         "roles": [
          "operator"
         ]
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/access/audit": {
   "get": {
    "operationId": "listAuditRecords",
    "summary": "Read the audit log, newest first, or export it",
    "tags": [
     "Audit"
    ],
    "description": "Every change, login and refused attempt. With format=jsonl the answer is application/jsonl: the records oldest first, one line each, as they stand in the log.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "maxLength": 64
      },
      "in": "query",
      "name": "user",
      "required": false,
      "description": "Only records of this user"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "object",
      "required": false,
      "description": "Only this object and those below it, such as farms/web"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 64
      },
      "in": "query",
      "name": "operation",
      "required": false,
      "description": "Only this operation"
     },
     {
      "schema": {
       "type": "string",
       "enum": [
        "done",
        "refused",
        "failed"
       ]
      },
      "in": "query",
      "name": "result",
      "required": false,
      "description": "Only this result"
     },
     {
      "schema": {
       "type": "string",
       "format": "date-time",
       "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z|([+-](?:[01]\\d|2[0-3]):[0-5]\\d)))$"
      },
      "in": "query",
      "name": "from",
      "required": false,
      "description": "Not before this time (RFC 3339)"
     },
     {
      "schema": {
       "type": "string",
       "format": "date-time",
       "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z|([+-](?:[01]\\d|2[0-3]):[0-5]\\d)))$"
      },
      "in": "query",
      "name": "to",
      "required": false,
      "description": "Before this time (RFC 3339)"
     },
     {
      "schema": {
       "type": "integer",
       "minimum": 1
      },
      "in": "query",
      "name": "before",
      "required": false,
      "description": "Only records before this one: the next of the page before"
     },
     {
      "schema": {
       "default": 100,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of records in the answer; an export has no limit"
     },
     {
      "schema": {
       "default": "json",
       "type": "string",
       "enum": [
        "json",
        "jsonl"
       ]
      },
      "in": "query",
      "name": "format",
      "required": false,
      "description": "jsonl: every record, oldest first, as its line stands in the log"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "audit:read",
    "responses": {
     "200": {
      "description": "The records: a page of them, or all as lines",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/AuditPage"
        },
        "example": {
         "items": [
          {
           "sequence": 42,
           "time": "2026-01-02T03:04:05.678Z",
           "user": "admin",
           "roles": [
            "admin"
           ],
           "means": "session",
           "source": "192.0.2.7",
           "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11",
           "method": "DELETE",
           "operation": "deleteFarm",
           "object": "farms/web",
           "result": "refused",
           "status": 404,
           "code": "not-found",
           "message": "there is no farm web",
           "previous": "9b3c5a1f0d7e6c2b8a4f9e3d1c5b7a0f6e2d8c4b9a3f7e1d5c0b6a2f8e4d9c37",
           "hash": "41d0a7c3f9e2b8d5a1c6f0e3b7d9a2c5f8e1b4d6a0c3f7e9b2d5a8c1f4e6b035"
          }
         ],
         "next": 42
        }
       },
       "application/jsonl": {
        "schema": {
         "type": "string",
         "examples": [
          "{\"sequence\":1,\"user\":\"admin\"}\n"
         ]
        },
        "example": "{\"sequence\":1,\"user\":\"admin\"}\n"
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/access/audit/verify": {
   "get": {
    "operationId": "verifyAuditLog",
    "summary": "Walk the chain of records and name the first that is not as it was written",
    "tags": [
     "Audit"
    ],
    "description": "Also says where the chain ends, to compare with a copy elsewhere. Reads the whole log.",
    "x-permission": "audit:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/AuditReport"
        },
        "example": {
         "whole": true,
         "records": 42,
         "first": 1,
         "last": 42,
         "hash": "41d0a7c3f9e2b8d5a1c6f0e3b7d9a2c5f8e1b4d6a0c3f7e9b2d5a8c1f4e6b035"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/access/audit-targets": {
   "get": {
    "operationId": "listAuditTargets",
    "summary": "List audit targets",
    "tags": [
     "Audit"
    ],
    "description": "Every audit target with all its fields; filtered, sorted and in pages when asked for.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "sort",
      "required": false,
      "description": "Fields with commas between them, - before one for descending order; name unless told"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "fields",
      "required": false,
      "description": "Only these fields of each object, with commas between them: name, description, enabled, host, port, transport, caCertificates, pinnedCertificates, serverName, facility, format, enterpriseNumber, maxBytes"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "name",
      "required": false,
      "description": "Only those whose name is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "description",
      "required": false,
      "description": "Only those whose description is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "enabled",
      "required": false,
      "description": "Only those whose enabled is this (true or false); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "host",
      "required": false,
      "description": "Only those whose host is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "port",
      "required": false,
      "description": "Only those whose port is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "transport",
      "required": false,
      "description": "Only those whose transport is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "caCertificates",
      "required": false,
      "description": "Only those whose caCertificates is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "pinnedCertificates",
      "required": false,
      "description": "Only those whose pinnedCertificates is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "serverName",
      "required": false,
      "description": "Only those whose serverName is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "facility",
      "required": false,
      "description": "Only those whose facility is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "format",
      "required": false,
      "description": "Only those whose format is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "enterpriseNumber",
      "required": false,
      "description": "Only those whose enterpriseNumber is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "maxBytes",
      "required": false,
      "description": "Only those whose maxBytes is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "audit:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/NamedAuditTarget"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "name": "siem",
           "host": "siem.example.com",
           "transport": "tls",
           "facility": "audit",
           "description": "",
           "enabled": true,
           "pinnedCertificates": [],
           "format": "json",
           "enterpriseNumber": 32473,
           "maxBytes": 8192
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "post": {
    "operationId": "createAuditTarget",
    "summary": "Create an audit target",
    "tags": [
     "Audit"
    ],
    "description": "The audit target with its name. Fields that are left out get their defaults; a name that is taken is refused.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/NamedAuditTargetInput"
       },
       "example": {
        "name": "siem",
        "host": "siem.example.com",
        "transport": "tls",
        "facility": "audit"
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "audit:create",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedAuditTarget"
        },
        "example": {
         "name": "siem",
         "host": "siem.example.com",
         "transport": "tls",
         "facility": "audit",
         "description": "",
         "enabled": true,
         "pinnedCertificates": [],
         "format": "json",
         "enterpriseNumber": 32473,
         "maxBytes": 8192
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/access/audit-targets/{target}": {
   "get": {
    "operationId": "getAuditTarget",
    "summary": "Read an audit target",
    "tags": [
     "Audit"
    ],
    "description": "With all its fields, defaults filled in: what was read can be put back as it is.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "target",
      "required": true,
      "description": "Name of the audit target"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "audit:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedAuditTarget"
        },
        "example": {
         "name": "siem",
         "host": "siem.example.com",
         "transport": "tls",
         "facility": "audit",
         "description": "",
         "enabled": true,
         "pinnedCertificates": [],
         "format": "json",
         "enterpriseNumber": 32473,
         "maxBytes": 8192
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "304": {
      "description": "The tag of If-None-Match still holds",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "put": {
    "operationId": "putAuditTarget",
    "summary": "Create an audit target or replace it whole",
    "tags": [
     "Audit"
    ],
    "description": "Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/AuditTargetReplacementInput"
       },
       "example": {
        "host": "siem.example.com",
        "transport": "tls",
        "facility": "audit"
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "target",
      "required": true,
      "description": "Name of the audit target"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "audit:update",
    "responses": {
     "200": {
      "description": "The audit target; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedAuditTarget"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The audit target; for a dry run, the plan"
        },
        "example": {
         "name": "siem",
         "host": "siem.example.com",
         "transport": "tls",
         "facility": "audit",
         "description": "",
         "enabled": true,
         "pinnedCertificates": [],
         "format": "json",
         "enterpriseNumber": 32473,
         "maxBytes": 8192
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedAuditTarget"
        },
        "example": {
         "name": "siem",
         "host": "siem.example.com",
         "transport": "tls",
         "facility": "audit",
         "description": "",
         "enabled": true,
         "pinnedCertificates": [],
         "format": "json",
         "enterpriseNumber": 32473,
         "maxBytes": 8192
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "patch": {
    "operationId": "patchAuditTarget",
    "summary": "Change fields of an audit target (JSON merge patch, RFC 7396)",
    "tags": [
     "Audit"
    ],
    "description": "Fields that are left out stay; null takes one back to its default, or removes a member.",
    "requestBody": {
     "required": true,
     "content": {
      "application/merge-patch+json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      },
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "target",
      "required": true,
      "description": "Name of the audit target"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "audit:update",
    "responses": {
     "200": {
      "description": "The audit target; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedAuditTarget"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The audit target; for a dry run, the plan"
        },
        "example": {
         "name": "siem",
         "host": "siem.example.com",
         "transport": "tls",
         "facility": "audit",
         "description": "",
         "enabled": true,
         "pinnedCertificates": [],
         "format": "json",
         "enterpriseNumber": 32473,
         "maxBytes": 8192
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "delete": {
    "operationId": "deleteAuditTarget",
    "summary": "Delete an audit target",
    "tags": [
     "Audit"
    ],
    "description": "Refused while something else needs the audit target.",
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "target",
      "required": true,
      "description": "Name of the audit target"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "audit:delete",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "204": {
      "description": "Deleted",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/access/audit-targets/{target}/status": {
   "get": {
    "operationId": "getAuditTargetStatus",
    "summary": "Read how far a syslog server has got",
    "tags": [
     "Audit"
    ],
    "description": "Of this agent; the place is kept over restarts.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "target",
      "required": true,
      "description": "Name of the audit target"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "audit:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/AuditTargetStatus"
        },
        "example": {
         "state": "connected",
         "sequence": 42,
         "queued": 0,
         "sent": 7,
         "lost": 0,
         "error": ""
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/access/me/second-factor": {
   "get": {
    "operationId": "getOwnSecondFactor",
    "summary": "Read whether the caller has a second factor",
    "tags": [
     "Sessions"
    ],
    "description": "The secret is never shown again.",
    "x-permission": "self:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/SecondFactorState"
        },
        "example": {
         "enabled": true,
         "recoveryCodes": 10
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   },
   "post": {
    "operationId": "beginSecondFactor",
    "summary": "Begin a second factor (TOTP) for the caller",
    "tags": [
     "Sessions"
    ],
    "description": "Put the secret into an authenticator app and confirm with its first code within ten minutes.",
    "x-permission": "self:update",
    "responses": {
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/SecondFactorEnrolment"
        },
        "example": {
         "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
         "uri": "otpauth://totp/lb1:anna?issuer=lb1&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=SHA1&digits=6&period=30",
         "svg": "<svg/>",
         "text": "█▀▀▀▀▀█"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/access/me/second-factor/confirm": {
   "post": {
    "operationId": "confirmSecondFactor",
    "summary": "Confirm the second factor by its first code",
    "tags": [
     "Sessions"
    ],
    "description": "From now on a code is asked for at login. Keep the recovery codes where the phone is not.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/SecondFactorCodeInput"
       },
       "example": {
        "code": "123456"
       }
      }
     }
    },
    "x-permission": "self:update",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/RecoveryCodes"
        },
        "example": {
         "recoveryCodes": [
          "abcd-efgh-ijkl-mnop"
         ]
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/access/me/second-factor/recovery-codes": {
   "post": {
    "operationId": "renewRecoveryCodes",
    "summary": "Make new recovery codes",
    "tags": [
     "Sessions"
    ],
    "description": "The old ones end. Takes a code.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/SecondFactorCodeInput"
       },
       "example": {
        "code": "123456"
       }
      }
     }
    },
    "x-permission": "self:update",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/RecoveryCodes"
        },
        "example": {
         "recoveryCodes": [
          "abcd-efgh-ijkl-mnop"
         ]
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/access/me/second-factor/end": {
   "post": {
    "operationId": "endSecondFactor",
    "summary": "End the caller's second factor",
    "tags": [
     "Sessions"
    ],
    "description": "Takes a code, so that a stolen session alone cannot end it.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/SecondFactorCodeInput"
       },
       "example": {
        "code": "123456"
       }
      }
     }
    },
    "x-permission": "self:update",
    "responses": {
     "204": {
      "description": "Ended",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/access/users/{user}/second-factor": {
   "delete": {
    "operationId": "resetSecondFactor",
    "summary": "End a user's second factor",
    "tags": [
     "Users"
    ],
    "description": "For the day phone and recovery codes are lost. Takes all the rights of that user.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z][a-z0-9_-]{0,31}$"
      },
      "example": "anna",
      "in": "path",
      "name": "user",
      "required": true,
      "description": "Name of the user"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "access:update",
    "responses": {
     "204": {
      "description": "Ended",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/sessions/second-factor": {
   "post": {
    "operationId": "beginRequiredSecondFactor",
    "summary": "Begin a second factor during login",
    "tags": [
     "Sessions"
    ],
    "description": "For a user of whom one is required and who has none: then send the challenge with the first code.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/SecondFactorChallengeInput"
       },
       "example": {
        "challenge": "b3Jhbmdlcy1hcmUtbm90LXRoZS1vbmx5LWZydWl0cy4"
       }
      }
     }
    },
    "security": [],
    "x-permission": "public",
    "responses": {
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/SecondFactorEnrolment"
        },
        "example": {
         "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
         "uri": "otpauth://totp/lb1:anna?issuer=lb1&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=SHA1&digits=6&period=30",
         "svg": "<svg/>",
         "text": "█▀▀▀▀▀█"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/farms": {
   "get": {
    "operationId": "listFarms",
    "summary": "List farms",
    "tags": [
     "Farms"
    ],
    "description": "Every farm with all its fields; filtered, sorted and in pages when asked for.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "sort",
      "required": false,
      "description": "Fields with commas between them, - before one for descending order; name unless told"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "fields",
      "required": false,
      "description": "Only these fields of each object, with commas between them: name, profile, enabled, description, virtualAddresses, ports, protocol, natType, algorithm, backends"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "name",
      "required": false,
      "description": "Only those whose name is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "profile",
      "required": false,
      "description": "Only those whose profile is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "enabled",
      "required": false,
      "description": "Only those whose enabled is this (true or false); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "description",
      "required": false,
      "description": "Only those whose description is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "virtualAddresses",
      "required": false,
      "description": "Only those whose virtualAddresses is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "ports",
      "required": false,
      "description": "Only those whose ports is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "protocol",
      "required": false,
      "description": "Only those whose protocol is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "natType",
      "required": false,
      "description": "Only those whose natType is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "algorithm",
      "required": false,
      "description": "Only those whose algorithm is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "backends",
      "required": false,
      "description": "Only those whose backends is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "backends.address",
      "required": false,
      "description": "Only those whose backends.address is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "backends.port",
      "required": false,
      "description": "Only those whose backends.port is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "backends.weight",
      "required": false,
      "description": "Only those whose backends.weight is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "backends.priority",
      "required": false,
      "description": "Only those whose backends.priority is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "backends.state",
      "required": false,
      "description": "Only those whose backends.state is this (any characters stand in for *); several times: one of these"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "farms:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/NamedFarm"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "name": "web",
           "profile": "l4xnat",
           "virtualAddresses": [
            "192.0.2.10"
           ],
           "ports": [
            "80"
           ],
           "backends": {
            "b1": {
             "address": "198.51.100.1",
             "port": 80,
             "weight": 1,
             "priority": 1,
             "state": "up"
            },
            "b2": {
             "address": "198.51.100.2",
             "port": 80,
             "weight": 3,
             "priority": 1,
             "state": "up"
            }
           },
           "enabled": true,
           "description": "",
           "protocol": "tcp",
           "natType": "nat",
           "algorithm": "weight"
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "post": {
    "operationId": "createFarm",
    "summary": "Create a farm",
    "tags": [
     "Farms"
    ],
    "description": "The farm with its name. Fields that are left out get their defaults; a name that is taken is refused.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/NamedFarmInput"
       },
       "example": {
        "name": "web",
        "profile": "l4xnat",
        "virtualAddresses": [
         "192.0.2.10"
        ],
        "ports": [
         "80"
        ],
        "backends": {
         "b1": {
          "address": "198.51.100.1",
          "port": 80
         },
         "b2": {
          "address": "198.51.100.2",
          "port": 80,
          "weight": 3
         }
        }
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "farms:create",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedFarm"
        },
        "example": {
         "name": "web",
         "profile": "l4xnat",
         "virtualAddresses": [
          "192.0.2.10"
         ],
         "ports": [
          "80"
         ],
         "backends": {
          "b1": {
           "address": "198.51.100.1",
           "port": 80,
           "weight": 1,
           "priority": 1,
           "state": "up"
          },
          "b2": {
           "address": "198.51.100.2",
           "port": 80,
           "weight": 3,
           "priority": 1,
           "state": "up"
          }
         },
         "enabled": true,
         "description": "",
         "protocol": "tcp",
         "natType": "nat",
         "algorithm": "weight"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/farms/{farm}": {
   "get": {
    "operationId": "getFarm",
    "summary": "Read a farm",
    "tags": [
     "Farms"
    ],
    "description": "With all its fields, defaults filled in: what was read can be put back as it is.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "farm",
      "required": true,
      "description": "Name of the farm"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "farms:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedFarm"
        },
        "example": {
         "name": "web",
         "profile": "l4xnat",
         "virtualAddresses": [
          "192.0.2.10"
         ],
         "ports": [
          "80"
         ],
         "backends": {
          "b1": {
           "address": "198.51.100.1",
           "port": 80,
           "weight": 1,
           "priority": 1,
           "state": "up"
          },
          "b2": {
           "address": "198.51.100.2",
           "port": 80,
           "weight": 3,
           "priority": 1,
           "state": "up"
          }
         },
         "enabled": true,
         "description": "",
         "protocol": "tcp",
         "natType": "nat",
         "algorithm": "weight"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "304": {
      "description": "The tag of If-None-Match still holds",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "put": {
    "operationId": "putFarm",
    "summary": "Create a farm or replace it whole",
    "tags": [
     "Farms"
    ],
    "description": "Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/FarmReplacementInput"
       },
       "example": {
        "profile": "l4xnat",
        "virtualAddresses": [
         "192.0.2.10"
        ],
        "ports": [
         "80"
        ],
        "backends": {
         "b1": {
          "address": "198.51.100.1",
          "port": 80
         },
         "b2": {
          "address": "198.51.100.2",
          "port": 80,
          "weight": 3
         }
        }
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "farm",
      "required": true,
      "description": "Name of the farm"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "farms:update",
    "responses": {
     "200": {
      "description": "The farm; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedFarm"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The farm; for a dry run, the plan"
        },
        "example": {
         "name": "web",
         "profile": "l4xnat",
         "virtualAddresses": [
          "192.0.2.10"
         ],
         "ports": [
          "80"
         ],
         "backends": {
          "b1": {
           "address": "198.51.100.1",
           "port": 80,
           "weight": 1,
           "priority": 1,
           "state": "up"
          },
          "b2": {
           "address": "198.51.100.2",
           "port": 80,
           "weight": 3,
           "priority": 1,
           "state": "up"
          }
         },
         "enabled": true,
         "description": "",
         "protocol": "tcp",
         "natType": "nat",
         "algorithm": "weight"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedFarm"
        },
        "example": {
         "name": "web",
         "profile": "l4xnat",
         "virtualAddresses": [
          "192.0.2.10"
         ],
         "ports": [
          "80"
         ],
         "backends": {
          "b1": {
           "address": "198.51.100.1",
           "port": 80,
           "weight": 1,
           "priority": 1,
           "state": "up"
          },
          "b2": {
           "address": "198.51.100.2",
           "port": 80,
           "weight": 3,
           "priority": 1,
           "state": "up"
          }
         },
         "enabled": true,
         "description": "",
         "protocol": "tcp",
         "natType": "nat",
         "algorithm": "weight"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "patch": {
    "operationId": "patchFarm",
    "summary": "Change fields of a farm (JSON merge patch, RFC 7396)",
    "tags": [
     "Farms"
    ],
    "description": "Fields that are left out stay; null takes one back to its default, or removes a member.",
    "requestBody": {
     "required": true,
     "content": {
      "application/merge-patch+json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      },
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "farm",
      "required": true,
      "description": "Name of the farm"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "farms:update",
    "responses": {
     "200": {
      "description": "The farm; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedFarm"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The farm; for a dry run, the plan"
        },
        "example": {
         "name": "web",
         "profile": "l4xnat",
         "virtualAddresses": [
          "192.0.2.10"
         ],
         "ports": [
          "80"
         ],
         "backends": {
          "b1": {
           "address": "198.51.100.1",
           "port": 80,
           "weight": 1,
           "priority": 1,
           "state": "up"
          },
          "b2": {
           "address": "198.51.100.2",
           "port": 80,
           "weight": 3,
           "priority": 1,
           "state": "up"
          }
         },
         "enabled": true,
         "description": "",
         "protocol": "tcp",
         "natType": "nat",
         "algorithm": "weight"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "delete": {
    "operationId": "deleteFarm",
    "summary": "Delete a farm",
    "tags": [
     "Farms"
    ],
    "description": "Refused while something else needs the farm.",
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "farm",
      "required": true,
      "description": "Name of the farm"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "farms:delete",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "204": {
      "description": "Deleted",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/farms/{farm}/backends": {
   "get": {
    "operationId": "listBackends",
    "summary": "List backends",
    "tags": [
     "Farms"
    ],
    "description": "Every backend with all its fields; filtered, sorted and in pages when asked for.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "sort",
      "required": false,
      "description": "Fields with commas between them, - before one for descending order; name unless told"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "fields",
      "required": false,
      "description": "Only these fields of each object, with commas between them: name, address, port, weight, priority, state"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "name",
      "required": false,
      "description": "Only those whose name is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "address",
      "required": false,
      "description": "Only those whose address is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "port",
      "required": false,
      "description": "Only those whose port is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "weight",
      "required": false,
      "description": "Only those whose weight is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "priority",
      "required": false,
      "description": "Only those whose priority is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "state",
      "required": false,
      "description": "Only those whose state is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "farm",
      "required": true,
      "description": "Name of the farm"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "farms:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/NamedBackend"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "name": "b3",
           "address": "198.51.100.3",
           "port": 80,
           "weight": 2,
           "priority": 1,
           "state": "up"
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "post": {
    "operationId": "createBackend",
    "summary": "Create a backend",
    "tags": [
     "Farms"
    ],
    "description": "The backend with its name. Fields that are left out get their defaults; a name that is taken is refused.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/NamedBackendInput"
       },
       "example": {
        "name": "b3",
        "address": "198.51.100.3",
        "port": 80,
        "weight": 2
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "farm",
      "required": true,
      "description": "Name of the farm"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "farms:update",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedBackend"
        },
        "example": {
         "name": "b3",
         "address": "198.51.100.3",
         "port": 80,
         "weight": 2,
         "priority": 1,
         "state": "up"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/farms/{farm}/backends/{backend}": {
   "get": {
    "operationId": "getBackend",
    "summary": "Read a backend",
    "tags": [
     "Farms"
    ],
    "description": "With all its fields, defaults filled in: what was read can be put back as it is.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "farm",
      "required": true,
      "description": "Name of the farm"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "backend",
      "required": true,
      "description": "Name of the backend"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "farms:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedBackend"
        },
        "example": {
         "name": "b3",
         "address": "198.51.100.3",
         "port": 80,
         "weight": 2,
         "priority": 1,
         "state": "up"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "304": {
      "description": "The tag of If-None-Match still holds",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "put": {
    "operationId": "putBackend",
    "summary": "Create a backend or replace it whole",
    "tags": [
     "Farms"
    ],
    "description": "Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/BackendReplacementInput"
       },
       "example": {
        "address": "198.51.100.3",
        "port": 80,
        "weight": 2
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "farm",
      "required": true,
      "description": "Name of the farm"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "backend",
      "required": true,
      "description": "Name of the backend"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "farms:update",
    "responses": {
     "200": {
      "description": "The backend; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedBackend"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The backend; for a dry run, the plan"
        },
        "example": {
         "name": "b3",
         "address": "198.51.100.3",
         "port": 80,
         "weight": 2,
         "priority": 1,
         "state": "up"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedBackend"
        },
        "example": {
         "name": "b3",
         "address": "198.51.100.3",
         "port": 80,
         "weight": 2,
         "priority": 1,
         "state": "up"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "patch": {
    "operationId": "patchBackend",
    "summary": "Change fields of a backend (JSON merge patch, RFC 7396)",
    "tags": [
     "Farms"
    ],
    "description": "Fields that are left out stay; null takes one back to its default, or removes a member.",
    "requestBody": {
     "required": true,
     "content": {
      "application/merge-patch+json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      },
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "farm",
      "required": true,
      "description": "Name of the farm"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "backend",
      "required": true,
      "description": "Name of the backend"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "farms:update",
    "responses": {
     "200": {
      "description": "The backend; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedBackend"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The backend; for a dry run, the plan"
        },
        "example": {
         "name": "b3",
         "address": "198.51.100.3",
         "port": 80,
         "weight": 2,
         "priority": 1,
         "state": "up"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "delete": {
    "operationId": "deleteBackend",
    "summary": "Delete a backend",
    "tags": [
     "Farms"
    ],
    "description": "Refused while something else needs the backend.",
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "farm",
      "required": true,
      "description": "Name of the farm"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "backend",
      "required": true,
      "description": "Name of the backend"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "farms:update",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "204": {
      "description": "Deleted",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/farms/{farm}/status": {
   "get": {
    "operationId": "getFarmStatus",
    "summary": "What the data plane really has of a farm",
    "tags": [
     "Farms"
    ],
    "description": "Read from the rules and the connections of the kernel, not from the configuration.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "farm",
      "required": true,
      "description": "Name of the farm"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "farms:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/FarmStatus"
        },
        "example": {
         "name": "web",
         "state": "up",
         "backends": [
          {
           "name": "b1",
           "address": "198.51.100.1",
           "port": 80,
           "state": "up",
           "effective": "up",
           "connections": 12
          },
          {
           "name": "b2",
           "address": "198.51.100.2",
           "port": 80,
           "state": "maintenance",
           "effective": "maintenance",
           "connections": 1
          }
         ]
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/status/farms": {
   "get": {
    "operationId": "listFarmStatuses",
    "summary": "What the data plane really has of the farms, read in one go",
    "tags": [
     "Farms"
    ],
    "description": "The kernel's rules are read once, whatever the number of farms: for many farms ask here, not farm by farm.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "sort",
      "required": false,
      "description": "Fields with commas between them, - before one for descending order; name unless told"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "fields",
      "required": false,
      "description": "Only these fields of each object, with commas between them: name, state, backends"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "name",
      "required": false,
      "description": "Only those whose name is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "state",
      "required": false,
      "description": "Only those whose state is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "backends.name",
      "required": false,
      "description": "Only those whose backends.name is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "backends.address",
      "required": false,
      "description": "Only those whose backends.address is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "backends.port",
      "required": false,
      "description": "Only those whose backends.port is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "backends.state",
      "required": false,
      "description": "Only those whose backends.state is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "backends.effective",
      "required": false,
      "description": "Only those whose backends.effective is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "backends.connections",
      "required": false,
      "description": "Only those whose backends.connections is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "none",
    "x-permission": "farms:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/FarmStatus"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "name": "web",
           "state": "up",
           "backends": [
            {
             "name": "b1",
             "address": "198.51.100.1",
             "port": 80,
             "state": "up",
             "effective": "up",
             "connections": 12
            },
            {
             "name": "b2",
             "address": "198.51.100.2",
             "port": 80,
             "state": "maintenance",
             "effective": "maintenance",
             "connections": 1
            }
           ]
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/network/interfaces": {
   "get": {
    "operationId": "listInterfaces",
    "summary": "List interfaces",
    "tags": [
     "Network"
    ],
    "description": "Every interface with all its fields; filtered, sorted and in pages when asked for.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "sort",
      "required": false,
      "description": "Fields with commas between them, - before one for descending order; name unless told"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "fields",
      "required": false,
      "description": "Only these fields of each object, with commas between them: name, kind, description, alias, enabled, mtu, bond, vlan, bridge, ipv4, ipv6"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "name",
      "required": false,
      "description": "Only those whose name is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "kind",
      "required": false,
      "description": "Only those whose kind is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "description",
      "required": false,
      "description": "Only those whose description is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "alias",
      "required": false,
      "description": "Only those whose alias is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "enabled",
      "required": false,
      "description": "Only those whose enabled is this (true or false); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "mtu",
      "required": false,
      "description": "Only those whose mtu is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.mode",
      "required": false,
      "description": "Only those whose bond.mode is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.members",
      "required": false,
      "description": "Only those whose bond.members is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.memberPattern.name",
      "required": false,
      "description": "Only those whose bond.memberPattern.name is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.memberPattern.driver",
      "required": false,
      "description": "Only those whose bond.memberPattern.driver is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.memberPattern.speed",
      "required": false,
      "description": "Only those whose bond.memberPattern.speed is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.memberPattern.bus",
      "required": false,
      "description": "Only those whose bond.memberPattern.bus is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.memberPattern.macPrefix",
      "required": false,
      "description": "Only those whose bond.memberPattern.macPrefix is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.monitor",
      "required": false,
      "description": "Only those whose bond.monitor is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.mii.interval",
      "required": false,
      "description": "Only those whose bond.mii.interval is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.mii.upDelay",
      "required": false,
      "description": "Only those whose bond.mii.upDelay is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.mii.downDelay",
      "required": false,
      "description": "Only those whose bond.mii.downDelay is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.arp.interval",
      "required": false,
      "description": "Only those whose bond.arp.interval is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.arp.targets",
      "required": false,
      "description": "Only those whose bond.arp.targets is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.arp.validate",
      "required": false,
      "description": "Only those whose bond.arp.validate is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.arp.allTargets",
      "required": false,
      "description": "Only those whose bond.arp.allTargets is this (true or false); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.minLinks",
      "required": false,
      "description": "Only those whose bond.minLinks is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.transmitHashPolicy",
      "required": false,
      "description": "Only those whose bond.transmitHashPolicy is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.lacpRate",
      "required": false,
      "description": "Only those whose bond.lacpRate is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.aggregatorSelect",
      "required": false,
      "description": "Only those whose bond.aggregatorSelect is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.primary",
      "required": false,
      "description": "Only those whose bond.primary is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.primaryReselect",
      "required": false,
      "description": "Only those whose bond.primaryReselect is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.failOverMac",
      "required": false,
      "description": "Only those whose bond.failOverMac is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bond.gratuitousCount",
      "required": false,
      "description": "Only those whose bond.gratuitousCount is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "vlan.parent",
      "required": false,
      "description": "Only those whose vlan.parent is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "vlan.id",
      "required": false,
      "description": "Only those whose vlan.id is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "vlan.protocol",
      "required": false,
      "description": "Only those whose vlan.protocol is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bridge.members",
      "required": false,
      "description": "Only those whose bridge.members is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bridge.stp",
      "required": false,
      "description": "Only those whose bridge.stp is this (true or false); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "ipv4.method",
      "required": false,
      "description": "Only those whose ipv4.method is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "ipv4.addresses",
      "required": false,
      "description": "Only those whose ipv4.addresses is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "ipv4.gateway",
      "required": false,
      "description": "Only those whose ipv4.gateway is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "ipv4.defaultRoute",
      "required": false,
      "description": "Only those whose ipv4.defaultRoute is this (true or false); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "ipv6.method",
      "required": false,
      "description": "Only those whose ipv6.method is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "ipv6.addresses",
      "required": false,
      "description": "Only those whose ipv6.addresses is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "ipv6.gateway",
      "required": false,
      "description": "Only those whose ipv6.gateway is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "ipv6.defaultRoute",
      "required": false,
      "description": "Only those whose ipv6.defaultRoute is this (true or false); several times: one of these"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "network:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/NamedInterface"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "name": "nic0",
           "ipv4": {
            "method": "static",
            "addresses": [
             "192.0.2.5/24"
            ],
            "gateway": "192.0.2.1"
           },
           "kind": "ethernet",
           "description": "",
           "alias": "",
           "enabled": true,
           "ipv6": {
            "method": "none",
            "addresses": []
           }
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "post": {
    "operationId": "createInterface",
    "summary": "Create an interface",
    "tags": [
     "Network"
    ],
    "description": "The interface with its name. Fields that are left out get their defaults; a name that is taken is refused.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/NamedInterfaceInput"
       },
       "example": {
        "name": "nic0",
        "ipv4": {
         "method": "static",
         "addresses": [
          "192.0.2.5/24"
         ],
         "gateway": "192.0.2.1"
        }
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "network:create",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedInterface"
        },
        "example": {
         "name": "nic0",
         "ipv4": {
          "method": "static",
          "addresses": [
           "192.0.2.5/24"
          ],
          "gateway": "192.0.2.1"
         },
         "kind": "ethernet",
         "description": "",
         "alias": "",
         "enabled": true,
         "ipv6": {
          "method": "none",
          "addresses": []
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/network/interfaces/{interface}": {
   "get": {
    "operationId": "getInterface",
    "summary": "Read an interface",
    "tags": [
     "Network"
    ],
    "description": "With all its fields, defaults filled in: what was read can be put back as it is.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$"
      },
      "example": "nic0",
      "in": "path",
      "name": "interface",
      "required": true,
      "description": "Name of the interface"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "network:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedInterface"
        },
        "example": {
         "name": "nic0",
         "ipv4": {
          "method": "static",
          "addresses": [
           "192.0.2.5/24"
          ],
          "gateway": "192.0.2.1"
         },
         "kind": "ethernet",
         "description": "",
         "alias": "",
         "enabled": true,
         "ipv6": {
          "method": "none",
          "addresses": []
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "304": {
      "description": "The tag of If-None-Match still holds",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "put": {
    "operationId": "putInterface",
    "summary": "Create an interface or replace it whole",
    "tags": [
     "Network"
    ],
    "description": "Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/InterfaceReplacementInput"
       },
       "example": {
        "ipv4": {
         "method": "static",
         "addresses": [
          "192.0.2.5/24"
         ],
         "gateway": "192.0.2.1"
        }
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$"
      },
      "example": "nic0",
      "in": "path",
      "name": "interface",
      "required": true,
      "description": "Name of the interface"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "network:update",
    "responses": {
     "200": {
      "description": "The interface; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedInterface"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The interface; for a dry run, the plan"
        },
        "example": {
         "name": "nic0",
         "ipv4": {
          "method": "static",
          "addresses": [
           "192.0.2.5/24"
          ],
          "gateway": "192.0.2.1"
         },
         "kind": "ethernet",
         "description": "",
         "alias": "",
         "enabled": true,
         "ipv6": {
          "method": "none",
          "addresses": []
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedInterface"
        },
        "example": {
         "name": "nic0",
         "ipv4": {
          "method": "static",
          "addresses": [
           "192.0.2.5/24"
          ],
          "gateway": "192.0.2.1"
         },
         "kind": "ethernet",
         "description": "",
         "alias": "",
         "enabled": true,
         "ipv6": {
          "method": "none",
          "addresses": []
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "patch": {
    "operationId": "patchInterface",
    "summary": "Change fields of an interface (JSON merge patch, RFC 7396)",
    "tags": [
     "Network"
    ],
    "description": "Fields that are left out stay; null takes one back to its default, or removes a member.",
    "requestBody": {
     "required": true,
     "content": {
      "application/merge-patch+json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      },
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$"
      },
      "example": "nic0",
      "in": "path",
      "name": "interface",
      "required": true,
      "description": "Name of the interface"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "network:update",
    "responses": {
     "200": {
      "description": "The interface; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedInterface"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The interface; for a dry run, the plan"
        },
        "example": {
         "name": "nic0",
         "ipv4": {
          "method": "static",
          "addresses": [
           "192.0.2.5/24"
          ],
          "gateway": "192.0.2.1"
         },
         "kind": "ethernet",
         "description": "",
         "alias": "",
         "enabled": true,
         "ipv6": {
          "method": "none",
          "addresses": []
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "delete": {
    "operationId": "deleteInterface",
    "summary": "Delete an interface",
    "tags": [
     "Network"
    ],
    "description": "Refused while something else needs the interface.",
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$"
      },
      "example": "nic0",
      "in": "path",
      "name": "interface",
      "required": true,
      "description": "Name of the interface"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "network:delete",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "204": {
      "description": "Deleted",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/network/virtual-addresses": {
   "get": {
    "operationId": "listVirtualAddresses",
    "summary": "List virtual addresses",
    "tags": [
     "Network"
    ],
    "description": "Every virtual address with all its fields; filtered, sorted and in pages when asked for.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "sort",
      "required": false,
      "description": "Fields with commas between them, - before one for descending order; name unless told"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "fields",
      "required": false,
      "description": "Only these fields of each object, with commas between them: name, description, enabled, interface, address"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "name",
      "required": false,
      "description": "Only those whose name is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "description",
      "required": false,
      "description": "Only those whose description is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "enabled",
      "required": false,
      "description": "Only those whose enabled is this (true or false); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "interface",
      "required": false,
      "description": "Only those whose interface is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "address",
      "required": false,
      "description": "Only those whose address is this (any characters stand in for *); several times: one of these"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "address",
    "x-permission": "network:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/NamedVirtualAddress"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "name": "web",
           "interface": "nic0",
           "address": "192.0.2.10/24",
           "description": "",
           "enabled": true
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "post": {
    "operationId": "createVirtualAddress",
    "summary": "Create a virtual address",
    "tags": [
     "Network"
    ],
    "description": "The virtual address with its name. Fields that are left out get their defaults; a name that is taken is refused.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/NamedVirtualAddressInput"
       },
       "example": {
        "name": "web",
        "interface": "nic0",
        "address": "192.0.2.10/24"
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "address",
    "x-permission": "network:create",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedVirtualAddress"
        },
        "example": {
         "name": "web",
         "interface": "nic0",
         "address": "192.0.2.10/24",
         "description": "",
         "enabled": true
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/network/virtual-addresses/{address}": {
   "get": {
    "operationId": "getVirtualAddress",
    "summary": "Read a virtual address",
    "tags": [
     "Network"
    ],
    "description": "With all its fields, defaults filled in: what was read can be put back as it is.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "address",
      "required": true,
      "description": "Name of the virtual address"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "address",
    "x-permission": "network:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedVirtualAddress"
        },
        "example": {
         "name": "web",
         "interface": "nic0",
         "address": "192.0.2.10/24",
         "description": "",
         "enabled": true
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "304": {
      "description": "The tag of If-None-Match still holds",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "put": {
    "operationId": "putVirtualAddress",
    "summary": "Create a virtual address or replace it whole",
    "tags": [
     "Network"
    ],
    "description": "Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/VirtualAddressReplacementInput"
       },
       "example": {
        "interface": "nic0",
        "address": "192.0.2.10/24"
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "address",
      "required": true,
      "description": "Name of the virtual address"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "address",
    "x-permission": "network:update",
    "responses": {
     "200": {
      "description": "The virtual address; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedVirtualAddress"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The virtual address; for a dry run, the plan"
        },
        "example": {
         "name": "web",
         "interface": "nic0",
         "address": "192.0.2.10/24",
         "description": "",
         "enabled": true
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedVirtualAddress"
        },
        "example": {
         "name": "web",
         "interface": "nic0",
         "address": "192.0.2.10/24",
         "description": "",
         "enabled": true
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "patch": {
    "operationId": "patchVirtualAddress",
    "summary": "Change fields of a virtual address (JSON merge patch, RFC 7396)",
    "tags": [
     "Network"
    ],
    "description": "Fields that are left out stay; null takes one back to its default, or removes a member.",
    "requestBody": {
     "required": true,
     "content": {
      "application/merge-patch+json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      },
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "address",
      "required": true,
      "description": "Name of the virtual address"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "address",
    "x-permission": "network:update",
    "responses": {
     "200": {
      "description": "The virtual address; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedVirtualAddress"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The virtual address; for a dry run, the plan"
        },
        "example": {
         "name": "web",
         "interface": "nic0",
         "address": "192.0.2.10/24",
         "description": "",
         "enabled": true
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "delete": {
    "operationId": "deleteVirtualAddress",
    "summary": "Delete a virtual address",
    "tags": [
     "Network"
    ],
    "description": "Refused while something else needs the virtual address.",
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "address",
      "required": true,
      "description": "Name of the virtual address"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "address",
    "x-permission": "network:delete",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "204": {
      "description": "Deleted",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/network/interfaces/{interface}/status": {
   "get": {
    "operationId": "getInterfaceStatus",
    "summary": "What the machine reports of an interface",
    "tags": [
     "Network"
    ],
    "description": "State, addresses, gateways and counters, read from the kernel.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$"
      },
      "example": "nic0",
      "in": "path",
      "name": "interface",
      "required": true,
      "description": "Name of the interface"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "network:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/InterfaceStatus"
        },
        "example": {
         "name": "nic0",
         "alternativeNames": [
          "enp3s0f0"
         ],
         "mac": "3c:ec:ef:12:34:56",
         "permanentMac": "3c:ec:ef:12:34:56",
         "driver": "ixgbe",
         "bus": "0000:03:00.0",
         "firmware": "0x80000d1b, 1.2585.0",
         "profiles": [
          "metal"
         ],
         "speed": 10000,
         "duplex": "full",
         "carrier": true,
         "state": "up",
         "mtu": 1500,
         "minMtu": 68,
         "maxMtu": 9710,
         "queues": {
          "receive": 8,
          "send": 8
         },
         "virtualFunctions": {
          "active": 0,
          "greatest": 63
         },
         "addresses": [
          "192.0.2.5/24"
         ],
         "counters": {
          "receivedBytes": 1234567,
          "receivedPackets": 9876,
          "receivedErrors": 0,
          "receivedDropped": 0,
          "sentBytes": 7654321,
          "sentPackets": 8765,
          "sentErrors": 0,
          "sentDropped": 0
         },
         "neighbour": {
          "chassis": "00:1c:73:00:00:01",
          "port": "Ethernet7",
          "system": "tor1.example.com"
         },
         "binding": {
          "by": "mac",
          "mac": "3c:ec:ef:12:34:56",
          "path": "pci-0000:03:00.0"
         },
         "gateways": [
          "192.0.2.1"
         ]
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/network/links": {
   "get": {
    "operationId": "listLinks",
    "summary": "The links the machine has, configured or not",
    "tags": [
     "Network"
    ],
    "description": "Network cards, bonds and VLANs as the kernel has them now, and the names whose card is missing, with those that may be in its place.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "sort",
      "required": false,
      "description": "Fields with commas between them, - before one for descending order; name unless told"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "fields",
      "required": false,
      "description": "Only these fields of each object, with commas between them: name, alternativeNames, kind, mac, permanentMac, driver, bus, firmware, profiles, speed, duplex, carrier, state, mtu, minMtu, maxMtu, queues, virtualFunctions, virtualFunctionOf, master, addresses, counters, neighbour, binding, candidates"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "name",
      "required": false,
      "description": "Only those whose name is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "alternativeNames",
      "required": false,
      "description": "Only those whose alternativeNames is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "kind",
      "required": false,
      "description": "Only those whose kind is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "mac",
      "required": false,
      "description": "Only those whose mac is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "permanentMac",
      "required": false,
      "description": "Only those whose permanentMac is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "driver",
      "required": false,
      "description": "Only those whose driver is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "bus",
      "required": false,
      "description": "Only those whose bus is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "firmware",
      "required": false,
      "description": "Only those whose firmware is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "profiles",
      "required": false,
      "description": "Only those whose profiles is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "speed",
      "required": false,
      "description": "Only those whose speed is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "duplex",
      "required": false,
      "description": "Only those whose duplex is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "carrier",
      "required": false,
      "description": "Only those whose carrier is this (true or false); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "state",
      "required": false,
      "description": "Only those whose state is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "mtu",
      "required": false,
      "description": "Only those whose mtu is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "minMtu",
      "required": false,
      "description": "Only those whose minMtu is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "maxMtu",
      "required": false,
      "description": "Only those whose maxMtu is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "queues.receive",
      "required": false,
      "description": "Only those whose queues.receive is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "queues.send",
      "required": false,
      "description": "Only those whose queues.send is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "virtualFunctions.active",
      "required": false,
      "description": "Only those whose virtualFunctions.active is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "virtualFunctions.greatest",
      "required": false,
      "description": "Only those whose virtualFunctions.greatest is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "virtualFunctionOf",
      "required": false,
      "description": "Only those whose virtualFunctionOf is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "master",
      "required": false,
      "description": "Only those whose master is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "addresses",
      "required": false,
      "description": "Only those whose addresses is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "counters.receivedBytes",
      "required": false,
      "description": "Only those whose counters.receivedBytes is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "counters.receivedPackets",
      "required": false,
      "description": "Only those whose counters.receivedPackets is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "counters.receivedErrors",
      "required": false,
      "description": "Only those whose counters.receivedErrors is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "counters.receivedDropped",
      "required": false,
      "description": "Only those whose counters.receivedDropped is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "counters.sentBytes",
      "required": false,
      "description": "Only those whose counters.sentBytes is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "counters.sentPackets",
      "required": false,
      "description": "Only those whose counters.sentPackets is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "counters.sentErrors",
      "required": false,
      "description": "Only those whose counters.sentErrors is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "counters.sentDropped",
      "required": false,
      "description": "Only those whose counters.sentDropped is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "neighbour.chassis",
      "required": false,
      "description": "Only those whose neighbour.chassis is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "neighbour.port",
      "required": false,
      "description": "Only those whose neighbour.port is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "neighbour.portDescription",
      "required": false,
      "description": "Only those whose neighbour.portDescription is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "neighbour.system",
      "required": false,
      "description": "Only those whose neighbour.system is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "neighbour.systemDescription",
      "required": false,
      "description": "Only those whose neighbour.systemDescription is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "binding.by",
      "required": false,
      "description": "Only those whose binding.by is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "binding.mac",
      "required": false,
      "description": "Only those whose binding.mac is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "binding.path",
      "required": false,
      "description": "Only those whose binding.path is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "candidates.name",
      "required": false,
      "description": "Only those whose candidates.name is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "candidates.reason",
      "required": false,
      "description": "Only those whose candidates.reason is this (any characters stand in for *); several times: one of these"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "network:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/Link"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "name": "nic0",
           "alternativeNames": [
            "enp3s0f0"
           ],
           "mac": "3c:ec:ef:12:34:56",
           "permanentMac": "3c:ec:ef:12:34:56",
           "driver": "ixgbe",
           "bus": "0000:03:00.0",
           "firmware": "0x80000d1b, 1.2585.0",
           "profiles": [
            "metal"
           ],
           "speed": 10000,
           "duplex": "full",
           "carrier": true,
           "state": "up",
           "mtu": 1500,
           "minMtu": 68,
           "maxMtu": 9710,
           "queues": {
            "receive": 8,
            "send": 8
           },
           "virtualFunctions": {
            "active": 0,
            "greatest": 63
           },
           "addresses": [
            "192.0.2.5/24"
           ],
           "counters": {
            "receivedBytes": 1234567,
            "receivedPackets": 9876,
            "receivedErrors": 0,
            "receivedDropped": 0,
            "sentBytes": 7654321,
            "sentPackets": 8765,
            "sentErrors": 0,
            "sentDropped": 0
           },
           "neighbour": {
            "chassis": "00:1c:73:00:00:01",
            "port": "Ethernet7",
            "system": "tor1.example.com"
           },
           "binding": {
            "by": "mac",
            "mac": "3c:ec:ef:12:34:56",
            "path": "pci-0000:03:00.0"
           }
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/network/links/{link}": {
   "get": {
    "operationId": "getLink",
    "summary": "Read a link",
    "tags": [
     "Network"
    ],
    "description": "What the machine knows of one link.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$"
      },
      "example": "nic0",
      "in": "path",
      "name": "link",
      "required": true,
      "description": "Name of the link"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "network:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Link"
        },
        "example": {
         "name": "nic0",
         "alternativeNames": [
          "enp3s0f0"
         ],
         "mac": "3c:ec:ef:12:34:56",
         "permanentMac": "3c:ec:ef:12:34:56",
         "driver": "ixgbe",
         "bus": "0000:03:00.0",
         "firmware": "0x80000d1b, 1.2585.0",
         "profiles": [
          "metal"
         ],
         "speed": 10000,
         "duplex": "full",
         "carrier": true,
         "state": "up",
         "mtu": 1500,
         "minMtu": 68,
         "maxMtu": 9710,
         "queues": {
          "receive": 8,
          "send": 8
         },
         "virtualFunctions": {
          "active": 0,
          "greatest": 63
         },
         "addresses": [
          "192.0.2.5/24"
         ],
         "counters": {
          "receivedBytes": 1234567,
          "receivedPackets": 9876,
          "receivedErrors": 0,
          "receivedDropped": 0,
          "sentBytes": 7654321,
          "sentPackets": 8765,
          "sentErrors": 0,
          "sentDropped": 0
         },
         "neighbour": {
          "chassis": "00:1c:73:00:00:01",
          "port": "Ethernet7",
          "system": "tor1.example.com"
         },
         "binding": {
          "by": "mac",
          "mac": "3c:ec:ef:12:34:56",
          "path": "pci-0000:03:00.0"
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "delete": {
    "operationId": "deleteLink",
    "summary": "Give up the name of a missing card",
    "tags": [
     "Network"
    ],
    "description": "The name is free for the next new card. Refused when the card is there or the name is configured.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$"
      },
      "example": "nic0",
      "in": "path",
      "name": "link",
      "required": true,
      "description": "Name of the link"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "network:delete",
    "responses": {
     "204": {
      "description": "Done",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/network/links/{link}/adopt": {
   "post": {
    "operationId": "adoptLink",
    "summary": "Give the name of a missing card to another one",
    "tags": [
     "Network"
    ],
    "description": "After a card was replaced: the card in its place takes its name, and what is configured for that name. Refused when the missing card is there, when the other one is configured, and when several would fit and none is named.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/AdoptionInput"
       },
       "example": {
        "card": "nic4"
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$"
      },
      "example": "nic0",
      "in": "path",
      "name": "link",
      "required": true,
      "description": "Name of the link"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "network:update",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Link"
        },
        "example": {
         "name": "nic0",
         "alternativeNames": [
          "enp3s0f0"
         ],
         "mac": "3c:ec:ef:12:34:56",
         "permanentMac": "3c:ec:ef:12:34:56",
         "driver": "ixgbe",
         "bus": "0000:03:00.0",
         "firmware": "0x80000d1b, 1.2585.0",
         "profiles": [
          "metal"
         ],
         "speed": 10000,
         "duplex": "full",
         "carrier": true,
         "state": "up",
         "mtu": 1500,
         "minMtu": 68,
         "maxMtu": 9710,
         "queues": {
          "receive": 8,
          "send": 8
         },
         "virtualFunctions": {
          "active": 0,
          "greatest": 63
         },
         "addresses": [
          "192.0.2.5/24"
         ],
         "counters": {
          "receivedBytes": 1234567,
          "receivedPackets": 9876,
          "receivedErrors": 0,
          "receivedDropped": 0,
          "sentBytes": 7654321,
          "sentPackets": 8765,
          "sentErrors": 0,
          "sentDropped": 0
         },
         "neighbour": {
          "chassis": "00:1c:73:00:00:01",
          "port": "Ethernet7",
          "system": "tor1.example.com"
         },
         "binding": {
          "by": "mac",
          "mac": "3c:ec:ef:12:34:56",
          "path": "pci-0000:03:00.0"
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/network/bond-proposals": {
   "get": {
    "operationId": "listBondProposals",
    "summary": "Bonds that the cabling suggests",
    "tags": [
     "Network"
    ],
    "description": "Cards with carrier that nothing uses: those that hear LACP from one group of ports, or have the same LLDP neighbour. A quiet partner sends LACP every 30 seconds.",
    "parameters": [
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0,
       "maximum": 35
      },
      "in": "query",
      "name": "listen",
      "required": false,
      "description": "Seconds to listen for LACP first; 0: what was heard in the last 90 seconds"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "network:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/BondProposal"
           },
           "description": "None when nothing suggests one"
          }
         },
         "required": [
          "items"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "name": "bond0",
           "mode": "802.3ad",
           "members": [
            "nic0",
            "nic1"
           ],
           "reason": "nic0 and nic1 hear LACP from one system (00:1c:73:00:00:01), which has these ports in one group (key 7)"
          }
         ]
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/routing/tables": {
   "get": {
    "operationId": "listRoutingTables",
    "summary": "List routing tables",
    "tags": [
     "Routing"
    ],
    "description": "Every routing table with all its fields; filtered, sorted and in pages when asked for.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "sort",
      "required": false,
      "description": "Fields with commas between them, - before one for descending order; name unless told"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "fields",
      "required": false,
      "description": "Only these fields of each object, with commas between them: name, description, id"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "name",
      "required": false,
      "description": "Only those whose name is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "description",
      "required": false,
      "description": "Only those whose description is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "id",
      "required": false,
      "description": "Only those whose id is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "routing table",
    "x-permission": "network:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/NamedRoutingTable"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "name": "partner",
           "id": 100,
           "description": ""
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "post": {
    "operationId": "createRoutingTable",
    "summary": "Create a routing table",
    "tags": [
     "Routing"
    ],
    "description": "The routing table with its name. Fields that are left out get their defaults; a name that is taken is refused.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/NamedRoutingTableInput"
       },
       "example": {
        "name": "partner",
        "id": 100
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "routing table",
    "x-permission": "network:create",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedRoutingTable"
        },
        "example": {
         "name": "partner",
         "id": 100,
         "description": ""
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/routing/tables/{table}": {
   "get": {
    "operationId": "getRoutingTable",
    "summary": "Read a routing table",
    "tags": [
     "Routing"
    ],
    "description": "With all its fields, defaults filled in: what was read can be put back as it is.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "table",
      "required": true,
      "description": "Name of the routing table"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "routing table",
    "x-permission": "network:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedRoutingTable"
        },
        "example": {
         "name": "partner",
         "id": 100,
         "description": ""
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "304": {
      "description": "The tag of If-None-Match still holds",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "put": {
    "operationId": "putRoutingTable",
    "summary": "Create a routing table or replace it whole",
    "tags": [
     "Routing"
    ],
    "description": "Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/RoutingTableReplacementInput"
       },
       "example": {
        "id": 100
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "table",
      "required": true,
      "description": "Name of the routing table"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "routing table",
    "x-permission": "network:update",
    "responses": {
     "200": {
      "description": "The routing table; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedRoutingTable"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The routing table; for a dry run, the plan"
        },
        "example": {
         "name": "partner",
         "id": 100,
         "description": ""
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedRoutingTable"
        },
        "example": {
         "name": "partner",
         "id": 100,
         "description": ""
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "patch": {
    "operationId": "patchRoutingTable",
    "summary": "Change fields of a routing table (JSON merge patch, RFC 7396)",
    "tags": [
     "Routing"
    ],
    "description": "Fields that are left out stay; null takes one back to its default, or removes a member.",
    "requestBody": {
     "required": true,
     "content": {
      "application/merge-patch+json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      },
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "table",
      "required": true,
      "description": "Name of the routing table"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "routing table",
    "x-permission": "network:update",
    "responses": {
     "200": {
      "description": "The routing table; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedRoutingTable"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The routing table; for a dry run, the plan"
        },
        "example": {
         "name": "partner",
         "id": 100,
         "description": ""
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "delete": {
    "operationId": "deleteRoutingTable",
    "summary": "Delete a routing table",
    "tags": [
     "Routing"
    ],
    "description": "Refused while something else needs the routing table.",
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "table",
      "required": true,
      "description": "Name of the routing table"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "routing table",
    "x-permission": "network:delete",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "204": {
      "description": "Deleted",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/routing/rules": {
   "get": {
    "operationId": "listRoutingRules",
    "summary": "List routing rules",
    "tags": [
     "Routing"
    ],
    "description": "Every routing rule with all its fields; filtered, sorted and in pages when asked for.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "sort",
      "required": false,
      "description": "Fields with commas between them, - before one for descending order; name unless told"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "fields",
      "required": false,
      "description": "Only these fields of each object, with commas between them: name, description, enabled, priority, from, to, mark, interface, not, table"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "name",
      "required": false,
      "description": "Only those whose name is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "description",
      "required": false,
      "description": "Only those whose description is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "enabled",
      "required": false,
      "description": "Only those whose enabled is this (true or false); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "priority",
      "required": false,
      "description": "Only those whose priority is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "from",
      "required": false,
      "description": "Only those whose from is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "to",
      "required": false,
      "description": "Only those whose to is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "mark.value",
      "required": false,
      "description": "Only those whose mark.value is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "mark.mask",
      "required": false,
      "description": "Only those whose mark.mask is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "interface",
      "required": false,
      "description": "Only those whose interface is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "not",
      "required": false,
      "description": "Only those whose not is this (true or false); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "table",
      "required": false,
      "description": "Only those whose table is this (any characters stand in for *); several times: one of these"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "routing rule",
    "x-permission": "network:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/NamedRoutingRule"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "name": "from-partner",
           "priority": 29100,
           "from": "198.51.100.0/24",
           "table": "partner",
           "description": "",
           "enabled": true,
           "not": false
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "post": {
    "operationId": "createRoutingRule",
    "summary": "Create a routing rule",
    "tags": [
     "Routing"
    ],
    "description": "The routing rule with its name. Fields that are left out get their defaults; a name that is taken is refused.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/NamedRoutingRuleInput"
       },
       "example": {
        "name": "from-partner",
        "priority": 29100,
        "from": "198.51.100.0/24",
        "table": "partner"
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "routing rule",
    "x-permission": "network:create",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedRoutingRule"
        },
        "example": {
         "name": "from-partner",
         "priority": 29100,
         "from": "198.51.100.0/24",
         "table": "partner",
         "description": "",
         "enabled": true,
         "not": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/routing/rules/{rule}": {
   "get": {
    "operationId": "getRoutingRule",
    "summary": "Read a routing rule",
    "tags": [
     "Routing"
    ],
    "description": "With all its fields, defaults filled in: what was read can be put back as it is.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "rule",
      "required": true,
      "description": "Name of the routing rule"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "routing rule",
    "x-permission": "network:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedRoutingRule"
        },
        "example": {
         "name": "from-partner",
         "priority": 29100,
         "from": "198.51.100.0/24",
         "table": "partner",
         "description": "",
         "enabled": true,
         "not": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "304": {
      "description": "The tag of If-None-Match still holds",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "put": {
    "operationId": "putRoutingRule",
    "summary": "Create a routing rule or replace it whole",
    "tags": [
     "Routing"
    ],
    "description": "Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/RoutingRuleReplacementInput"
       },
       "example": {
        "priority": 29100,
        "from": "198.51.100.0/24",
        "table": "partner"
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "rule",
      "required": true,
      "description": "Name of the routing rule"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "routing rule",
    "x-permission": "network:update",
    "responses": {
     "200": {
      "description": "The routing rule; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedRoutingRule"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The routing rule; for a dry run, the plan"
        },
        "example": {
         "name": "from-partner",
         "priority": 29100,
         "from": "198.51.100.0/24",
         "table": "partner",
         "description": "",
         "enabled": true,
         "not": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedRoutingRule"
        },
        "example": {
         "name": "from-partner",
         "priority": 29100,
         "from": "198.51.100.0/24",
         "table": "partner",
         "description": "",
         "enabled": true,
         "not": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "patch": {
    "operationId": "patchRoutingRule",
    "summary": "Change fields of a routing rule (JSON merge patch, RFC 7396)",
    "tags": [
     "Routing"
    ],
    "description": "Fields that are left out stay; null takes one back to its default, or removes a member.",
    "requestBody": {
     "required": true,
     "content": {
      "application/merge-patch+json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      },
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "rule",
      "required": true,
      "description": "Name of the routing rule"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "routing rule",
    "x-permission": "network:update",
    "responses": {
     "200": {
      "description": "The routing rule; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedRoutingRule"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The routing rule; for a dry run, the plan"
        },
        "example": {
         "name": "from-partner",
         "priority": 29100,
         "from": "198.51.100.0/24",
         "table": "partner",
         "description": "",
         "enabled": true,
         "not": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "delete": {
    "operationId": "deleteRoutingRule",
    "summary": "Delete a routing rule",
    "tags": [
     "Routing"
    ],
    "description": "Refused while something else needs the routing rule.",
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "rule",
      "required": true,
      "description": "Name of the routing rule"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "routing rule",
    "x-permission": "network:delete",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "204": {
      "description": "Deleted",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/routing/routes": {
   "get": {
    "operationId": "listRoutes",
    "summary": "List routes",
    "tags": [
     "Routing"
    ],
    "description": "Every route with all its fields; filtered, sorted and in pages when asked for.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "sort",
      "required": false,
      "description": "Fields with commas between them, - before one for descending order; name unless told"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "fields",
      "required": false,
      "description": "Only these fields of each object, with commas between them: name, description, enabled, type, destination, via, interface, metric, table, source, mtu, onlink"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "name",
      "required": false,
      "description": "Only those whose name is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "description",
      "required": false,
      "description": "Only those whose description is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "enabled",
      "required": false,
      "description": "Only those whose enabled is this (true or false); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "type",
      "required": false,
      "description": "Only those whose type is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "destination",
      "required": false,
      "description": "Only those whose destination is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "via",
      "required": false,
      "description": "Only those whose via is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "interface",
      "required": false,
      "description": "Only those whose interface is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "metric",
      "required": false,
      "description": "Only those whose metric is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "table",
      "required": false,
      "description": "Only those whose table is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "source",
      "required": false,
      "description": "Only those whose source is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "mtu",
      "required": false,
      "description": "Only those whose mtu is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "onlink",
      "required": false,
      "description": "Only those whose onlink is this (true or false); several times: one of these"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "routing route",
    "x-permission": "network:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/NamedRoute"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "name": "partner",
           "destination": "203.0.113.0/24",
           "via": "192.0.2.254",
           "interface": "eth0",
           "description": "",
           "enabled": true,
           "type": "unicast",
           "metric": 0,
           "table": "main",
           "onlink": false
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "post": {
    "operationId": "createRoute",
    "summary": "Create a route",
    "tags": [
     "Routing"
    ],
    "description": "The route with its name. Fields that are left out get their defaults; a name that is taken is refused.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/NamedRouteInput"
       },
       "example": {
        "name": "partner",
        "destination": "203.0.113.0/24",
        "via": "192.0.2.254",
        "interface": "eth0"
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "routing route",
    "x-permission": "network:create",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedRoute"
        },
        "example": {
         "name": "partner",
         "destination": "203.0.113.0/24",
         "via": "192.0.2.254",
         "interface": "eth0",
         "description": "",
         "enabled": true,
         "type": "unicast",
         "metric": 0,
         "table": "main",
         "onlink": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/routing/routes/{route}": {
   "get": {
    "operationId": "getRoute",
    "summary": "Read a route",
    "tags": [
     "Routing"
    ],
    "description": "With all its fields, defaults filled in: what was read can be put back as it is.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "route",
      "required": true,
      "description": "Name of the route"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "routing route",
    "x-permission": "network:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedRoute"
        },
        "example": {
         "name": "partner",
         "destination": "203.0.113.0/24",
         "via": "192.0.2.254",
         "interface": "eth0",
         "description": "",
         "enabled": true,
         "type": "unicast",
         "metric": 0,
         "table": "main",
         "onlink": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "304": {
      "description": "The tag of If-None-Match still holds",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "put": {
    "operationId": "putRoute",
    "summary": "Create a route or replace it whole",
    "tags": [
     "Routing"
    ],
    "description": "Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/RouteReplacementInput"
       },
       "example": {
        "destination": "203.0.113.0/24",
        "via": "192.0.2.254",
        "interface": "eth0"
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "route",
      "required": true,
      "description": "Name of the route"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "routing route",
    "x-permission": "network:update",
    "responses": {
     "200": {
      "description": "The route; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedRoute"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The route; for a dry run, the plan"
        },
        "example": {
         "name": "partner",
         "destination": "203.0.113.0/24",
         "via": "192.0.2.254",
         "interface": "eth0",
         "description": "",
         "enabled": true,
         "type": "unicast",
         "metric": 0,
         "table": "main",
         "onlink": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedRoute"
        },
        "example": {
         "name": "partner",
         "destination": "203.0.113.0/24",
         "via": "192.0.2.254",
         "interface": "eth0",
         "description": "",
         "enabled": true,
         "type": "unicast",
         "metric": 0,
         "table": "main",
         "onlink": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "patch": {
    "operationId": "patchRoute",
    "summary": "Change fields of a route (JSON merge patch, RFC 7396)",
    "tags": [
     "Routing"
    ],
    "description": "Fields that are left out stay; null takes one back to its default, or removes a member.",
    "requestBody": {
     "required": true,
     "content": {
      "application/merge-patch+json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      },
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "route",
      "required": true,
      "description": "Name of the route"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "routing route",
    "x-permission": "network:update",
    "responses": {
     "200": {
      "description": "The route; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedRoute"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The route; for a dry run, the plan"
        },
        "example": {
         "name": "partner",
         "destination": "203.0.113.0/24",
         "via": "192.0.2.254",
         "interface": "eth0",
         "description": "",
         "enabled": true,
         "type": "unicast",
         "metric": 0,
         "table": "main",
         "onlink": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "delete": {
    "operationId": "deleteRoute",
    "summary": "Delete a route",
    "tags": [
     "Routing"
    ],
    "description": "Refused while something else needs the route.",
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "route",
      "required": true,
      "description": "Name of the route"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "routing route",
    "x-permission": "network:delete",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "204": {
      "description": "Deleted",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/routing/status/routes": {
   "get": {
    "operationId": "listRouteStatuses",
    "summary": "The routes the kernel has, and who made each",
    "tags": [
     "Routing"
    ],
    "description": "Of every table but the kernel's own table of local addresses. `origin=unmanaged`: those that are left alone.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "sort",
      "required": false,
      "description": "Fields with commas between them, - before one for descending order; family,table,destination,metric unless told"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "fields",
      "required": false,
      "description": "Only these fields of each object, with commas between them: family, type, destination, via, interface, table, metric, source, origin, text"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "family",
      "required": false,
      "description": "Only those whose family is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "type",
      "required": false,
      "description": "Only those whose type is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "destination",
      "required": false,
      "description": "Only those whose destination is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "via",
      "required": false,
      "description": "Only those whose via is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "interface",
      "required": false,
      "description": "Only those whose interface is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "table",
      "required": false,
      "description": "Only those whose table is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "metric",
      "required": false,
      "description": "Only those whose metric is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "source",
      "required": false,
      "description": "Only those whose source is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "origin",
      "required": false,
      "description": "Only those whose origin is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "text",
      "required": false,
      "description": "Only those whose text is this (any characters stand in for *); several times: one of these"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "routing status routes",
    "x-permission": "network:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/RouteStatus"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "family": "ipv4",
           "type": "unicast",
           "destination": "203.0.113.0/24",
           "via": "192.0.2.254",
           "interface": "eth0",
           "table": "main",
           "metric": 0,
           "origin": "steelyard",
           "text": "unicast 203.0.113.0/24 via 192.0.2.254 dev eth0 table 254 metric 0"
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/routing/status/rules": {
   "get": {
    "operationId": "listRuleStatuses",
    "summary": "The routing rules the kernel has, and who made each",
    "tags": [
     "Routing"
    ],
    "description": "In the order in which the kernel asks them.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "sort",
      "required": false,
      "description": "Fields with commas between them, - before one for descending order; family,priority unless told"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "fields",
      "required": false,
      "description": "Only these fields of each object, with commas between them: family, priority, table, origin, text"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "family",
      "required": false,
      "description": "Only those whose family is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "priority",
      "required": false,
      "description": "Only those whose priority is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "table",
      "required": false,
      "description": "Only those whose table is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "origin",
      "required": false,
      "description": "Only those whose origin is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "text",
      "required": false,
      "description": "Only those whose text is this (any characters stand in for *); several times: one of these"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "routing status rules",
    "x-permission": "network:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/RuleStatus"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "family": "ipv4",
           "priority": 29100,
           "table": "partner",
           "origin": "steelyard",
           "text": "priority 29100 from 198.51.100.0/24 lookup 100"
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/certificates": {
   "get": {
    "operationId": "listCertificates",
    "summary": "List certificates",
    "tags": [
     "Certificates"
    ],
    "description": "Every certificate with all its fields; filtered, sorted and in pages when asked for.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "sort",
      "required": false,
      "description": "Fields with commas between them, - before one for descending order; name unless told"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "fields",
      "required": false,
      "description": "Only these fields of each object, with commas between them: name, description, certificate, request"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "name",
      "required": false,
      "description": "Only those whose name is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "description",
      "required": false,
      "description": "Only those whose description is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "certificate",
      "required": false,
      "description": "Only those whose certificate is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "request",
      "required": false,
      "description": "Only those whose request is this (any characters stand in for *); several times: one of these"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "certificates:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/NamedCertificate"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "name": "management",
           "description": "signed by our own authority",
           "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n"
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "post": {
    "operationId": "createCertificate",
    "summary": "Create a certificate",
    "tags": [
     "Certificates"
    ],
    "description": "The certificate with its name. Fields that are left out get their defaults; a name that is taken is refused.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/NewCertificateInput"
       },
       "example": {
        "name": "management",
        "description": "signed by our own authority",
        "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n",
        "key": "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49Ag==\n-----END PRIVATE KEY-----\n"
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "certificates:create",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedCertificate"
        },
        "example": {
         "name": "management",
         "description": "signed by our own authority",
         "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/certificates/{certificate}": {
   "get": {
    "operationId": "getCertificate",
    "summary": "Read a certificate",
    "tags": [
     "Certificates"
    ],
    "description": "With all its fields, defaults filled in: what was read can be put back as it is.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "certificate",
      "required": true,
      "description": "Name of the certificate"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "certificates:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedCertificate"
        },
        "example": {
         "name": "management",
         "description": "signed by our own authority",
         "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "304": {
      "description": "The tag of If-None-Match still holds",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "put": {
    "operationId": "putCertificate",
    "summary": "Create a certificate or replace it whole",
    "tags": [
     "Certificates"
    ],
    "description": "Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/CertificateReplacementInput"
       },
       "example": {
        "description": "signed by our own authority",
        "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n",
        "key": "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49Ag==\n-----END PRIVATE KEY-----\n"
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "certificate",
      "required": true,
      "description": "Name of the certificate"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "certificates:update",
    "responses": {
     "200": {
      "description": "The certificate; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedCertificate"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The certificate; for a dry run, the plan"
        },
        "example": {
         "name": "management",
         "description": "signed by our own authority",
         "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NamedCertificate"
        },
        "example": {
         "name": "management",
         "description": "signed by our own authority",
         "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "patch": {
    "operationId": "patchCertificate",
    "summary": "Change fields of a certificate (JSON merge patch, RFC 7396)",
    "tags": [
     "Certificates"
    ],
    "description": "Fields that are left out stay; null takes one back to its default, or removes a member.",
    "requestBody": {
     "required": true,
     "content": {
      "application/merge-patch+json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      },
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "certificate",
      "required": true,
      "description": "Name of the certificate"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "certificates:update",
    "responses": {
     "200": {
      "description": "The certificate; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/NamedCertificate"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The certificate; for a dry run, the plan"
        },
        "example": {
         "name": "management",
         "description": "signed by our own authority",
         "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "delete": {
    "operationId": "deleteCertificate",
    "summary": "Delete a certificate",
    "tags": [
     "Certificates"
    ],
    "description": "Refused while something else needs the certificate.",
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "certificate",
      "required": true,
      "description": "Name of the certificate"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "certificates:delete",
    "responses": {
     "200": {
      "description": "The plan, for a dry run",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "204": {
      "description": "Deleted",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/certificates/{certificate}/status": {
   "get": {
    "operationId": "getCertificateStatus",
    "summary": "What stands in a certificate, and how it stands with it",
    "tags": [
     "Certificates"
    ],
    "description": "Names, key, fingerprint, and how long it is valid.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "certificate",
      "required": true,
      "description": "Name of the certificate"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "certificates:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/CertificateStatus"
        },
        "example": {
         "name": "management",
         "state": "valid",
         "uses": [
          "system.management"
         ],
         "subject": "CN=lb1.example.com",
         "issuer": "O=Example, CN=Example authority 1",
         "names": [
          "lb1.example.com"
         ],
         "notBefore": "2026-01-01T00:00:00.000Z",
         "notAfter": "2026-04-01T00:00:00.000Z",
         "daysLeft": 89,
         "key": "ECDSA P-256",
         "signature": "ECDSA with SHA-256",
         "fingerprint": "AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB",
         "selfSigned": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/certificates/{certificate}/request": {
   "post": {
    "operationId": "requestCertificate",
    "summary": "Make a key and a request for an authority to sign",
    "tags": [
     "Certificates"
    ],
    "description": "A new certificate with a key that is made here and never leaves, and its request (PKCS #10). What the authority answers is set as its field certificate.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/CertificateRequestInput"
       },
       "example": {
        "names": [
         "lb1.example.com",
         "192.0.2.5"
        ],
        "keyType": "ecdsa-p256"
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "certificate",
      "required": true,
      "description": "Name of the certificate"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "certificates:create",
    "responses": {
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/RequestedCertificate"
        },
        "example": {
         "name": "management",
         "description": "",
         "request": "-----BEGIN CERTIFICATE REQUEST-----\nMIHeMIGFAgEAMBQxEjAQBg==\n-----END CERTIFICATE REQUEST-----\n"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/system": {
   "get": {
    "operationId": "getSystem",
    "summary": "Read the system's settings",
    "tags": [
     "System"
    ],
    "description": "Host name, DNS, time, static names, proxy, management and SSH: one object that always exists.",
    "x-permission": "system:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/System"
        },
        "example": {
         "hostname": "lb1.example.com",
         "dns": {
          "servers": [
           "192.0.2.53"
          ],
          "search": [
           "example.com"
          ],
          "dnssec": "no",
          "overTls": "no"
         },
         "ntp": {
          "servers": [
           "192.0.2.123",
           {
            "address": "time.example.com",
            "nts": true,
            "prefer": false
           }
          ]
         },
         "timeZone": "Europe/Berlin",
         "hosts": [
          {
           "address": "192.0.2.80",
           "names": [
            "files.example.com"
           ]
          }
         ],
         "proxy": {
          "url": "http://proxy.example.com:3128",
          "bypass": [
           "example.com"
          ]
         },
         "management": {
          "interfaces": [
           "nic0"
          ],
          "port": 444
         },
         "console": {
          "passwordReset": true
         },
         "ssh": {
          "enabled": true,
          "port": 22,
          "passwordAuthentication": false
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "304": {
      "description": "The tag of If-None-Match still holds",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   },
   "put": {
    "operationId": "putSystem",
    "summary": "Replace the system's settings",
    "tags": [
     "System"
    ],
    "description": "Fields that are left out go back to their defaults.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/SystemInput"
       },
       "example": {
        "hostname": "lb1.example.com",
        "dns": {
         "servers": [
          "192.0.2.53"
         ],
         "search": [
          "example.com"
         ],
         "dnssec": "no",
         "overTls": "no"
        },
        "ntp": {
         "servers": [
          "192.0.2.123",
          {
           "address": "time.example.com",
           "nts": true,
           "prefer": false
          }
         ]
        },
        "timeZone": "Europe/Berlin",
        "hosts": [
         {
          "address": "192.0.2.80",
          "names": [
           "files.example.com"
          ]
         }
        ],
        "proxy": {
         "url": "http://proxy.example.com:3128",
         "bypass": [
          "example.com"
         ]
        },
        "management": {
         "interfaces": [
          "nic0"
         ],
         "port": 444
        },
        "console": {
         "passwordReset": true
        },
        "ssh": {
         "enabled": true,
         "port": 22,
         "passwordAuthentication": false
        }
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "system:update",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/System"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ]
        },
        "example": {
         "hostname": "lb1.example.com",
         "dns": {
          "servers": [
           "192.0.2.53"
          ],
          "search": [
           "example.com"
          ],
          "dnssec": "no",
          "overTls": "no"
         },
         "ntp": {
          "servers": [
           "192.0.2.123",
           {
            "address": "time.example.com",
            "nts": true,
            "prefer": false
           }
          ]
         },
         "timeZone": "Europe/Berlin",
         "hosts": [
          {
           "address": "192.0.2.80",
           "names": [
            "files.example.com"
           ]
          }
         ],
         "proxy": {
          "url": "http://proxy.example.com:3128",
          "bypass": [
           "example.com"
          ]
         },
         "management": {
          "interfaces": [
           "nic0"
          ],
          "port": 444
         },
         "console": {
          "passwordReset": true
         },
         "ssh": {
          "enabled": true,
          "port": 22,
          "passwordAuthentication": false
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "patch": {
    "operationId": "patchSystem",
    "summary": "Change some of the system's settings (JSON merge patch, RFC 7396)",
    "tags": [
     "System"
    ],
    "description": "Fields that are left out stay; null takes one back to its default.",
    "requestBody": {
     "required": true,
     "content": {
      "application/merge-patch+json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      },
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "system:update",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/System"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ]
        },
        "example": {
         "hostname": "lb1.example.com",
         "dns": {
          "servers": [
           "192.0.2.53"
          ],
          "search": [
           "example.com"
          ],
          "dnssec": "no",
          "overTls": "no"
         },
         "ntp": {
          "servers": [
           "192.0.2.123",
           {
            "address": "time.example.com",
            "nts": true,
            "prefer": false
           }
          ]
         },
         "timeZone": "Europe/Berlin",
         "hosts": [
          {
           "address": "192.0.2.80",
           "names": [
            "files.example.com"
           ]
          }
         ],
         "proxy": {
          "url": "http://proxy.example.com:3128",
          "bypass": [
           "example.com"
          ]
         },
         "management": {
          "interfaces": [
           "nic0"
          ],
          "port": 444
         },
         "console": {
          "passwordReset": true
         },
         "ssh": {
          "enabled": true,
          "port": 22,
          "passwordAuthentication": false
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/system/status": {
   "get": {
    "operationId": "getSystemStatus",
    "summary": "How the box is",
    "tags": [
     "System"
    ],
    "description": "Version, uptime, memory, disks, the generation in use and the units that matter.",
    "x-permission": "system:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/SystemStatus"
        },
        "example": {
         "hostname": "lb1",
         "version": "0.1.0",
         "image": "steelyard-virt 0.1.0",
         "slot": "a",
         "uptime": 86400,
         "time": "2026-01-01T12:00:00.000Z",
         "memory": {
          "total": 2147483648,
          "available": 1610612736
         },
         "load": [
          0.1,
          0.05,
          0.01
         ],
         "disks": [
          {
           "path": "/config",
           "size": 520093696,
           "used": 1048576,
           "available": 480247808
          }
         ],
         "generation": 7,
         "health": "ok",
         "problems": [],
         "warnings": [],
         "units": [
          {
           "name": "steelyard-agent.service",
           "state": "active"
          }
         ],
         "failedUnits": [],
         "clock": {
          "synchronized": true,
          "stratum": 3,
          "offset": -0.000012,
          "sources": [
           {
            "server": "time.example.com",
            "state": "selected",
            "stratum": 2,
            "answered": 8,
            "offset": 0.000034,
            "nts": true
           }
          ]
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/system/certificate": {
   "get": {
    "operationId": "getManagementCertificate",
    "summary": "Read the certificate the API shows",
    "tags": [
     "System"
    ],
    "description": "The one of system.management.certificate, or else one the box has made and signed itself.",
    "x-command": "system certificate show",
    "x-permission": "system:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/ManagementCertificate"
        },
        "example": {
         "source": "configured",
         "name": "management",
         "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n",
         "subject": "CN=lb1.example.com",
         "issuer": "O=Example, CN=Example authority 1",
         "names": [
          "lb1.example.com"
         ],
         "notBefore": "2026-01-01T00:00:00.000Z",
         "notAfter": "2026-04-01T00:00:00.000Z",
         "daysLeft": 89,
         "key": "ECDSA P-256",
         "signature": "ECDSA with SHA-256",
         "fingerprint": "AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB",
         "selfSigned": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/system/certificate/regenerate": {
   "post": {
    "operationId": "regenerateManagementCertificate",
    "summary": "Make a new self-signed certificate",
    "tags": [
     "System"
    ],
    "description": "With a new key and the host name of now. Shown at once, unless another one is configured; connections go on. Clients that know the old fingerprint have to be told the new one.",
    "x-permission": "system:update",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/ManagementCertificate"
        },
        "example": {
         "source": "configured",
         "name": "management",
         "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n",
         "subject": "CN=lb1.example.com",
         "issuer": "O=Example, CN=Example authority 1",
         "names": [
          "lb1.example.com"
         ],
         "notBefore": "2026-01-01T00:00:00.000Z",
         "notAfter": "2026-04-01T00:00:00.000Z",
         "daysLeft": 89,
         "key": "ECDSA P-256",
         "signature": "ECDSA with SHA-256",
         "fingerprint": "AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB",
         "selfSigned": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/configuration": {
   "get": {
    "operationId": "getConfiguration",
    "summary": "Read the whole configuration, secrets hidden",
    "tags": [
     "Configuration"
    ],
    "description": "Every object by name, as the current generation has it, as far as the caller may read it.",
    "x-permission": "configuration:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Configuration"
        },
        "example": {
         "system": {
          "hostname": "steelyard",
          "dns": {
           "servers": [],
           "search": [],
           "dnssec": "no",
           "overTls": "no"
          },
          "ntp": {
           "servers": []
          },
          "timeZone": "UTC",
          "hosts": [],
          "proxy": {
           "bypass": []
          },
          "management": {
           "interfaces": [],
           "port": 444
          },
          "console": {
           "passwordReset": true
          },
          "ssh": {
           "enabled": false,
           "port": 22,
           "passwordAuthentication": false
          }
         },
         "interfaces": {},
         "virtualAddresses": {},
         "routingTables": {},
         "routingRules": {},
         "routingRoutes": {},
         "farms": {},
         "certificates": {},
         "access": {
          "sessions": {
           "idleMinutes": 30,
           "absoluteMinutes": 720
          },
          "secondFactor": {
           "roles": []
          }
         },
         "users": {
          "admin": {
           "fullName": "",
           "description": "",
           "source": "local",
           "groups": [],
           "roles": [
            "admin"
           ],
           "sshKeys": [],
           "disabled": false
          }
         },
         "groups": {},
         "roles": {},
         "apiKeys": {},
         "backups": {
          "enabled": false,
          "time": "03:00",
          "days": [],
          "keep": 7,
          "recipients": [],
          "identity": true,
          "history": false
         },
         "directories": {},
         "auditTargets": {}
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/configuration/generations": {
   "get": {
    "operationId": "listGenerations",
    "summary": "The history, newest first",
    "tags": [
     "Configuration"
    ],
    "description": "Each commit made one generation: who, from where, when and what.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "sort",
      "required": false,
      "description": "Fields with commas between them, - before one for descending order"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "fields",
      "required": false,
      "description": "Only these fields of each object, with commas between them: generation, parent, author, source, time, message, schemaVersion, compatible"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "generation",
      "required": false,
      "description": "Only those whose generation is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "parent",
      "required": false,
      "description": "Only those whose parent is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "author",
      "required": false,
      "description": "Only those whose author is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "source",
      "required": false,
      "description": "Only those whose source is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "time",
      "required": false,
      "description": "Only those whose time is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "message",
      "required": false,
      "description": "Only those whose message is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "schemaVersion",
      "required": false,
      "description": "Only those whose schemaVersion is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "compatible",
      "required": false,
      "description": "Only those whose compatible is this (true or false); several times: one of these"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "configuration:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/Generation"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "generation": 7,
           "parent": 6,
           "author": "admin",
           "source": "192.0.2.20",
           "time": "2026-01-01T12:00:00.000Z",
           "message": "create farm web",
           "schemaVersion": 2,
           "compatible": true
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/configuration/generations/{generation}": {
   "get": {
    "operationId": "getGeneration",
    "summary": "Read one generation",
    "tags": [
     "Configuration"
    ],
    "description": "Who made it, and the whole configuration it holds, secrets hidden.",
    "parameters": [
     {
      "schema": {
       "type": "integer",
       "minimum": 0
      },
      "example": 7,
      "in": "path",
      "name": "generation",
      "required": true,
      "description": "Number of the generation"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "configuration:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "generation": {
           "type": "integer",
           "description": "Its number; they are counted up"
          },
          "parent": {
           "type": "integer",
           "description": "The generation it was made from; 0 for the first"
          },
          "author": {
           "type": "string",
           "description": "The user who made it"
          },
          "source": {
           "type": "string",
           "description": "Address of the client, or local, console, answer-file, boot"
          },
          "time": {
           "type": "string",
           "format": "date-time",
           "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
           "description": "When it was made, UTC"
          },
          "message": {
           "type": "string",
           "description": "What was done"
          },
          "schemaVersion": {
           "type": "integer",
           "description": "Of the format its objects are kept in"
          },
          "compatible": {
           "type": "boolean",
           "description": "false: a newer system wrote it, and this one can neither read nor restore it"
          },
          "configuration": {
           "$ref": "#/components/schemas/Configuration"
          }
         },
         "required": [
          "generation",
          "parent",
          "author",
          "source",
          "time",
          "message",
          "schemaVersion",
          "compatible",
          "configuration"
         ],
         "additionalProperties": false
        },
        "example": {
         "generation": 7,
         "parent": 6,
         "author": "admin",
         "source": "192.0.2.20",
         "time": "2026-01-01T12:00:00.000Z",
         "message": "create farm web",
         "schemaVersion": 2,
         "compatible": true,
         "configuration": {
          "system": {
           "hostname": "steelyard",
           "dns": {
            "servers": [],
            "search": [],
            "dnssec": "no",
            "overTls": "no"
           },
           "ntp": {
            "servers": []
           },
           "timeZone": "UTC",
           "hosts": [],
           "proxy": {
            "bypass": []
           },
           "management": {
            "interfaces": [],
            "port": 444
           },
           "console": {
            "passwordReset": true
           },
           "ssh": {
            "enabled": false,
            "port": 22,
            "passwordAuthentication": false
           }
          },
          "interfaces": {},
          "virtualAddresses": {},
          "routingTables": {},
          "routingRules": {},
          "routingRoutes": {},
          "farms": {},
          "certificates": {},
          "access": {
           "sessions": {
            "idleMinutes": 30,
            "absoluteMinutes": 720
           },
           "secondFactor": {
            "roles": []
           }
          },
          "users": {
           "admin": {
            "fullName": "",
            "description": "",
            "source": "local",
            "groups": [],
            "roles": [
             "admin"
            ],
            "sshKeys": [],
            "disabled": false
           }
          },
          "groups": {},
          "roles": {},
          "apiKeys": {},
          "backups": {
           "enabled": false,
           "time": "03:00",
           "days": [],
           "keep": 7,
           "recipients": [],
           "identity": true,
           "history": false
          },
          "directories": {},
          "auditTargets": {}
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/configuration/diff": {
   "get": {
    "operationId": "diffGenerations",
    "summary": "What differs between two generations, object by object",
    "tags": [
     "Configuration"
    ],
    "description": "Each object that was added, removed or changed, as unified diff of its YAML, secrets hidden.",
    "parameters": [
     {
      "schema": {
       "type": "integer",
       "minimum": 0
      },
      "example": 7,
      "in": "query",
      "name": "from",
      "required": false,
      "description": "Left out, the parent of to; 0 is the empty configuration"
     },
     {
      "schema": {
       "type": "integer",
       "minimum": 0
      },
      "example": 7,
      "in": "query",
      "name": "to",
      "required": false,
      "description": "Left out, the current generation"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "configuration:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "from": {
           "type": "integer",
           "description": "The older generation"
          },
          "to": {
           "type": "integer",
           "description": "The newer generation"
          },
          "differences": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/Difference"
           },
           "description": "Object by object"
          }
         },
         "required": [
          "from",
          "to",
          "differences"
         ],
         "additionalProperties": false
        },
        "example": {
         "from": 1,
         "to": 1,
         "differences": [
          {
           "object": "farms/web",
           "change": "changed",
           "text": "@@ -4,1 +4,1 @@\n-  - \"80\"\n+  - \"81\"\n"
          }
         ]
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/configuration/rollback": {
   "post": {
    "operationId": "rollbackConfiguration",
    "summary": "Make a new generation with the content of an old one",
    "tags": [
     "Configuration"
    ],
    "description": "A commit like any other: checked, applied, and undone when it cannot be applied.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "type": "object",
        "properties": {
         "generation": {
          "type": "integer",
          "minimum": 1,
          "description": "The generation whose content is wanted back"
         }
        },
        "required": [
         "generation"
        ],
        "additionalProperties": false
       },
       "example": {
        "generation": 6
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "configuration:update",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/configuration/pending": {
   "get": {
    "operationId": "getPendingCommit",
    "summary": "Read the change that awaits its confirmation",
    "tags": [
     "Configuration"
    ],
    "description": "404 when there is none.",
    "x-permission": "configuration:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/PendingCommit"
        },
        "example": {
         "generation": 8,
         "parent": 7,
         "author": "admin",
         "source": "192.0.2.7",
         "message": "change interface nic0",
         "time": "2026-01-02T03:04:05.000Z",
         "deadline": "2026-01-02T03:09:05.000Z",
         "reasons": [
          "the interface nic0 is used for management"
         ]
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/configuration/confirm": {
   "post": {
    "operationId": "confirmConfiguration",
    "summary": "Confirm the pending change: it stays",
    "tags": [
     "Configuration"
    ],
    "description": "404 when there is none, 412 when it is not the generation that the body names.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "type": "object",
        "properties": {
         "generation": {
          "description": "The one that is meant; refused when another is pending",
          "type": "integer"
         }
        },
        "additionalProperties": false
       },
       "example": {
        "generation": 7
       }
      }
     }
    },
    "x-permission": "configuration:commit",
    "responses": {
     "200": {
      "description": "What was confirmed",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/PendingCommit"
        },
        "example": {
         "generation": 8,
         "parent": 7,
         "author": "admin",
         "source": "192.0.2.7",
         "message": "change interface nic0",
         "time": "2026-01-02T03:04:05.000Z",
         "deadline": "2026-01-02T03:09:05.000Z",
         "reasons": [
          "the interface nic0 is used for management"
         ]
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/configuration/pending/revert": {
   "post": {
    "operationId": "revertPendingCommit",
    "summary": "Take the pending change back now",
    "tags": [
     "Configuration"
    ],
    "description": "The confirmed configuration comes back as a new generation, as it would when the time is up. What cannot be applied is tried again.",
    "x-permission": "configuration:commit",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/transactions": {
   "post": {
    "operationId": "commitTransaction",
    "summary": "Change many objects in one commit",
    "tags": [
     "Configuration"
    ],
    "description": "All or nothing: one generation, one plan. Every problem of every object is told at once. Each change needs the permission of its own route.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/TransactionInput"
       },
       "example": {
        "message": "move web to the new servers",
        "generation": 7,
        "changes": [
         {
          "op": "patch",
          "object": "farms/web",
          "value": {
           "backends": {
            "b1": {
             "address": "198.51.100.7"
            }
           }
          }
         },
         {
          "op": "delete",
          "object": "farms/old"
         }
        ]
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "configuration:commit",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Plan"
        },
        "example": {
         "generation": 7,
         "warnings": [],
         "steps": [
          {
           "subsystem": "l4",
           "kind": "put-farm",
           "summary": "add farm web"
          }
         ],
         "confirmWithin": 0,
         "reasons": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/configuration/verify": {
   "get": {
    "operationId": "verifyConfiguration",
    "summary": "Check every generation against its hash and the chain of hashes",
    "tags": [
     "Configuration"
    ],
    "description": "Reads all of them again. A problem tells that files were damaged or altered, or that the metadata were.",
    "x-permission": "configuration:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Verification"
        },
        "example": {
         "whole": true,
         "generations": [
          {
           "generation": 7
          }
         ]
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/first-boot/report": {
   "get": {
    "operationId": "getFirstBootReport",
    "summary": "Read what became of the first boot",
    "tags": [
     "System"
    ],
    "description": "Source, time, what was made and what was odd, without secrets. 404 on a box that left none.",
    "x-permission": "configuration:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/FirstBootReport"
        },
        "example": {
         "time": "2026-01-01T12:00:00.000Z",
         "source": "steelyard.yaml on /dev/vdb",
         "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
         "outcome": "applied",
         "generation": 1,
         "applied": {
          "hostname": "lb1",
          "admin": [
           "password, given as its hash"
          ],
          "managementInterfaces": [
           "eth0"
          ],
          "interfaces": [
           "eth0"
          ],
          "virtualAddresses": [],
          "farms": []
         },
         "warnings": [],
         "problems": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/first-boot": {
   "post": {
    "operationId": "completeFirstBoot",
    "summary": "Give the first answers (local socket only, while there is no configuration)",
    "tags": [
     "System"
    ],
    "description": "The answers of the console wizard, or of an answer file, become the first generation of the configuration.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/FirstBootAnswersInput"
       },
       "example": {
        "version": 1,
        "admin": {
         "password": "correct horse battery"
        },
        "system": {
         "hostname": "lb1",
         "management": {
          "interfaces": [
           "nic0"
          ]
         }
        },
        "interfaces": {
         "nic0": {
          "ipv4": {
           "method": "static",
           "addresses": [
            "192.0.2.5/24"
           ],
           "gateway": "192.0.2.1"
          }
         }
        }
       }
      }
     }
    },
    "x-permission": "configuration:update",
    "responses": {
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/FirstBootResult"
        },
        "example": {
         "generation": 1,
         "warnings": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/recovery/password": {
   "get": {
    "operationId": "getPasswordReset",
    "summary": "Tell whether the console may set a new administrator's password",
    "tags": [
     "System"
    ],
    "description": "Within 15 minutes of a start, unless system.console.passwordReset is false.",
    "x-command": "none",
    "x-permission": "access:update",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/PasswordResetState"
        },
        "example": {
         "possible": false,
         "reason": "the box was started longer ago"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   },
   "post": {
    "operationId": "resetPassword",
    "summary": "Set a new password of admin from the console (local socket only)",
    "tags": [
     "System"
    ],
    "description": "For whoever is at the machine and cannot log in: restarts show, and so does this, in the audit log, in the history, as an event and in the health of the box until the next start. A second factor of admin ends, sessions and all.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/PasswordResetInput"
       },
       "example": {
        "password": "correct horse battery"
       }
      }
     }
    },
    "x-command": "none",
    "x-permission": "access:update",
    "responses": {
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/PasswordResetDone"
        },
        "example": {
         "generation": 8
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/system/seal": {
   "post": {
    "operationId": "sealSystem",
    "summary": "Take the identity from the box and power it off, to clone its disk",
    "tags": [
     "System"
    ],
    "description": "Takes away the machine id, SSH host keys, the API's key and certificate, the names bound to cards, sessions, journals, audit log, history and backups; the configuration too, unless it is kept. What starts from the disk next makes an identity of its own.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/SealInput"
       },
       "example": {
        "hostname": "lb1",
        "keepConfiguration": false
       }
      }
     }
    },
    "x-command": "none",
    "x-permission": "factory:seal",
    "responses": {
     "202": {
      "description": "Begun",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/SealBegun"
        },
        "example": {
         "message": "lb1 is sealed and powers off"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/events": {
   "get": {
    "operationId": "streamEvents",
    "summary": "Follow what happens, as Server-Sent Events",
    "tags": [
     "Events"
    ],
    "description": "Each event has an id, its kind as `event`, and JSON as `data`: {id, topic, kind, time, data}. With the header `Last-Event-ID`, which browsers send by themselves, the stream goes on after that event; when some are gone by then, it begins with the event `gap`. A comment comes every 15 seconds. Who reads too slowly, or is no longer logged in, gets the event `end` with the reason.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "topic",
      "required": false,
      "description": "Some of commits, states, jobs, statistics, with commas between them; left out, all you may read but statistics"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 64
      },
      "in": "header",
      "name": "last-event-id",
      "required": false,
      "description": "The last event that was read"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "self:read",
    "responses": {
     "200": {
      "description": "A stream that does not end by itself",
      "content": {
       "text/event-stream": {
        "schema": {
         "type": "string",
         "examples": [
          "retry: 3000\n\nid: mjv1x2-7\nevent: committed\ndata: {\"id\":\"mjv1x2-7\",\"topic\":\"commits\",\"kind\":\"committed\",\"time\":\"2026-01-01T12:00:00.000Z\",\"data\":{\"generation\":7}}\n\n"
         ]
        },
        "example": "retry: 3000\n\nid: mjv1x2-7\nevent: committed\ndata: {\"id\":\"mjv1x2-7\",\"topic\":\"commits\",\"kind\":\"committed\",\"time\":\"2026-01-01T12:00:00.000Z\",\"data\":{\"generation\":7}}\n\n"
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/jobs": {
   "get": {
    "operationId": "listJobs",
    "summary": "List jobs",
    "tags": [
     "Jobs"
    ],
    "description": "Newest first: the caller's own; everybody's for whom jobs:read is permitted. Of those that have ended the last 100 are kept, also over a restart.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "sort",
      "required": false,
      "description": "Fields with commas between them, - before one for descending order; -created unless told"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "fields",
      "required": false,
      "description": "Only these fields of each object, with commas between them: id, kind, title, state, owner, source, created, started, ended, progress, result, problem"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "id",
      "required": false,
      "description": "Only those whose id is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "kind",
      "required": false,
      "description": "Only those whose kind is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "title",
      "required": false,
      "description": "Only those whose title is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "state",
      "required": false,
      "description": "Only those whose state is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "owner",
      "required": false,
      "description": "Only those whose owner is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "source",
      "required": false,
      "description": "Only those whose source is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "created",
      "required": false,
      "description": "Only those whose created is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "started",
      "required": false,
      "description": "Only those whose started is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "ended",
      "required": false,
      "description": "Only those whose ended is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "progress.step",
      "required": false,
      "description": "Only those whose progress.step is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "progress.done",
      "required": false,
      "description": "Only those whose progress.done is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "progress.total",
      "required": false,
      "description": "Only those whose progress.total is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "result",
      "required": false,
      "description": "Only those whose result is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "problem.code",
      "required": false,
      "description": "Only those whose problem.code is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "problem.detail",
      "required": false,
      "description": "Only those whose problem.detail is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "problem.problems.path",
      "required": false,
      "description": "Only those whose problem.problems.path is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "problem.problems.message",
      "required": false,
      "description": "Only those whose problem.problems.message is this (any characters stand in for *); several times: one of these"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "self:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/Job"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "id": "k7mq2xwp4a1c",
           "kind": "backup",
           "title": "make backup lb1-20260102-030405",
           "state": "running",
           "owner": "admin",
           "source": "192.0.2.7",
           "created": "2026-01-02T03:04:05.000Z",
           "started": "2026-01-02T03:04:05.000Z",
           "progress": {
            "step": "encrypt",
            "done": 1,
            "total": 3
           }
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/jobs/{job}": {
   "get": {
    "operationId": "getJob",
    "summary": "Read a job: its state, how far it is, and what it made",
    "tags": [
     "Jobs"
    ],
    "description": "The events of the topic jobs tell of each change as it happens.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9]{12}$"
      },
      "in": "path",
      "name": "job",
      "required": true,
      "description": "Id of the job"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "self:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Job"
        },
        "example": {
         "id": "k7mq2xwp4a1c",
         "kind": "backup",
         "title": "make backup lb1-20260102-030405",
         "state": "running",
         "owner": "admin",
         "source": "192.0.2.7",
         "created": "2026-01-02T03:04:05.000Z",
         "started": "2026-01-02T03:04:05.000Z",
         "progress": {
          "step": "encrypt",
          "done": 1,
          "total": 3
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "delete": {
    "operationId": "deleteJob",
    "summary": "Forget a job that has ended",
    "tags": [
     "Jobs"
    ],
    "description": "409 while it has not: cancel it first. That of another user takes jobs:delete.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9]{12}$"
      },
      "in": "path",
      "name": "job",
      "required": true,
      "description": "Id of the job"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "self:delete",
    "responses": {
     "204": {
      "description": "Forgotten",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/jobs/{job}/log": {
   "get": {
    "operationId": "getJobLog",
    "summary": "Read the log of a job",
    "tags": [
     "Jobs"
    ],
    "description": "At most 500 lines; the last 20 after a restart of the agent.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9]{12}$"
      },
      "in": "path",
      "name": "job",
      "required": true,
      "description": "Id of the job"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "none",
    "x-permission": "self:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/JobLine"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "time": "2026-01-02T03:04:05.000Z",
           "text": "encrypt"
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/jobs/{job}/cancel": {
   "post": {
    "operationId": "cancelJob",
    "summary": "Cancel a job",
    "tags": [
     "Jobs"
    ],
    "description": "It ends soon and leaves nothing behind; one that has ended stays as it is. That of another user takes jobs:cancel.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9]{12}$"
      },
      "in": "path",
      "name": "job",
      "required": true,
      "description": "Id of the job"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "self:update",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Job"
        },
        "example": {
         "id": "k7mq2xwp4a1c",
         "kind": "backup",
         "title": "make backup lb1-20260102-030405",
         "state": "running",
         "owner": "admin",
         "source": "192.0.2.7",
         "created": "2026-01-02T03:04:05.000Z",
         "started": "2026-01-02T03:04:05.000Z",
         "progress": {
          "step": "encrypt",
          "done": 1,
          "total": 3
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/system/backups": {
   "get": {
    "operationId": "listBackups",
    "summary": "List the backups that are kept on the box",
    "tags": [
     "Backups"
    ],
    "description": "With what is known of them without their key.",
    "parameters": [
     {
      "schema": {
       "default": 1000,
       "type": "integer",
       "minimum": 1,
       "maximum": 1000
      },
      "in": "query",
      "name": "limit",
      "required": false,
      "description": "Greatest number of objects in the answer"
     },
     {
      "schema": {
       "default": 0,
       "type": "integer",
       "minimum": 0
      },
      "in": "query",
      "name": "offset",
      "required": false,
      "description": "Objects to leave out from the beginning"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "sort",
      "required": false,
      "description": "Fields with commas between them, - before one for descending order; -time unless told"
     },
     {
      "schema": {
       "type": "string",
       "maxLength": 256
      },
      "in": "query",
      "name": "fields",
      "required": false,
      "description": "Only these fields of each object, with commas between them: name, time, size, origin, lock, hostname, version, generation, identity, history"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "name",
      "required": false,
      "description": "Only those whose name is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "time",
      "required": false,
      "description": "Only those whose time is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "size",
      "required": false,
      "description": "Only those whose size is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "origin",
      "required": false,
      "description": "Only those whose origin is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "lock",
      "required": false,
      "description": "Only those whose lock is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "hostname",
      "required": false,
      "description": "Only those whose hostname is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "version",
      "required": false,
      "description": "Only those whose version is this (any characters stand in for *); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "generation",
      "required": false,
      "description": "Only those whose generation is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "identity",
      "required": false,
      "description": "Only those whose identity is this (true or false); several times: one of these"
     },
     {
      "schema": {
       "anyOf": [
        {
         "type": "string",
         "maxLength": 256
        },
        {
         "maxItems": 16,
         "type": "array",
         "items": {
          "type": "string",
          "maxLength": 256
         }
        }
       ]
      },
      "in": "query",
      "name": "history",
      "required": false,
      "description": "Only those whose history is this (a number or a range: 3, 1..10, 5..); several times: one of these"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "backup",
    "x-permission": "backups:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "items": {
           "type": "array",
           "items": {
            "$ref": "#/components/schemas/StoredBackup"
           },
           "description": "Those of this page"
          },
          "total": {
           "type": "integer",
           "description": "Number of objects that match, on all pages"
          }
         },
         "required": [
          "items",
          "total"
         ],
         "additionalProperties": false
        },
        "example": {
         "items": [
          {
           "name": "lb1-20260102-030405",
           "time": "2026-01-02T03:04:05.000Z",
           "size": 12345,
           "origin": "made",
           "lock": "passphrase",
           "hostname": "lb1",
           "version": "0.1.0",
           "generation": 7,
           "identity": true,
           "history": 0
          }
         ],
         "total": 1
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Link": {
        "$ref": "#/components/headers/Link"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "post": {
    "operationId": "createBackup",
    "summary": "Make a backup, and keep it on the box",
    "tags": [
     "Backups"
    ],
    "description": "One age file, encrypted with the passphrase or for public keys, with the configuration, its secrets and, unless told otherwise, the keys of this box. The answer is the job; its result has the name of the backup.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/BackupWishInput"
       },
       "example": {
        "passphrase": "four words nobody guesses",
        "identity": true,
        "history": false
       }
      }
     }
    },
    "x-command": "backup",
    "x-permission": "backups:create",
    "responses": {
     "202": {
      "description": "The job; Location is where to follow it",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Job"
        },
        "example": {
         "id": "k7mq2xwp4a1c",
         "kind": "backup",
         "title": "make backup lb1-20260102-030405",
         "state": "running",
         "owner": "admin",
         "source": "192.0.2.7",
         "created": "2026-01-02T03:04:05.000Z",
         "started": "2026-01-02T03:04:05.000Z",
         "progress": {
          "step": "encrypt",
          "done": 1,
          "total": 3
         }
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/system/backups/{backup}": {
   "get": {
    "operationId": "getBackup",
    "summary": "Read what is known of a backup without its key",
    "tags": [
     "Backups"
    ],
    "description": "Who has the key sees more by a dry run of restoring it.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "backup",
      "required": true,
      "description": "Name of the backup"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "backup",
    "x-permission": "backups:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/StoredBackup"
        },
        "example": {
         "name": "lb1-20260102-030405",
         "time": "2026-01-02T03:04:05.000Z",
         "size": 12345,
         "origin": "made",
         "lock": "passphrase",
         "hostname": "lb1",
         "version": "0.1.0",
         "generation": 7,
         "identity": true,
         "history": 0
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "delete": {
    "operationId": "deleteBackup",
    "summary": "Delete a backup",
    "tags": [
     "Backups"
    ],
    "description": "Only from this box.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "backup",
      "required": true,
      "description": "Name of the backup"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "backup",
    "x-permission": "backups:delete",
    "responses": {
     "204": {
      "description": "Deleted",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   }
  },
  "/api/v1/system/backups/{backup}/file": {
   "get": {
    "operationId": "downloadBackup",
    "summary": "Fetch a backup: the encrypted file",
    "tags": [
     "Backups"
    ],
    "description": "age --decrypt opens it on any computer; inside is a .tar.gz.",
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "backup",
      "required": true,
      "description": "Name of the backup"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "none",
    "x-permission": "backups:download",
    "responses": {
     "200": {
      "description": "The file",
      "content": {
       "application/octet-stream": {
        "schema": {
         "type": "string",
         "examples": [
          "(the bytes of the file)"
         ]
        },
        "example": "(the bytes of the file)"
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    }
   },
   "put": {
    "operationId": "uploadBackup",
    "summary": "Bring a backup to the box, to restore it",
    "tags": [
     "Backups"
    ],
    "description": "At most 64 MiB. Only its first lines are looked at: the rest cannot be read without its key. A backup of this name must not be there.",
    "requestBody": {
     "required": true,
     "content": {
      "application/octet-stream": {
       "schema": {
        "type": "string",
        "contentMediaType": "application/octet-stream",
        "description": "a backup of Steelyard, as it was fetched"
       },
       "example": "(the bytes of the file)"
      }
     },
     "description": "a backup of Steelyard, as it was fetched"
    },
    "parameters": [
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "backup",
      "required": true,
      "description": "Name of the backup"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "none",
    "x-permission": "backups:upload",
    "responses": {
     "201": {
      "description": "Created",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/StoredBackup"
        },
        "example": {
         "name": "lb1-20260102-030405",
         "time": "2026-01-02T03:04:05.000Z",
         "size": 12345,
         "origin": "made",
         "lock": "passphrase",
         "hostname": "lb1",
         "version": "0.1.0",
         "generation": 7,
         "identity": true,
         "history": 0
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/system/backups/{backup}/restore": {
   "post": {
    "operationId": "restoreBackup",
    "summary": "Restore a backup",
    "tags": [
     "Backups"
    ],
    "description": "A change like any other: checked, applied or put back, and to be confirmed where it can cut off the operator. Network cards are found by their permanent MAC address; other places are proposed, and taken when they are named in map or with acceptProposals. With dryRun=true the answer says what would change. The keys of the box, with identity, are no part of what a missing confirmation takes back.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/RestoreWishInput"
       },
       "example": {
        "passphrase": "four words nobody guesses",
        "map": {
         "eth0": "eth2"
        },
        "identity": false
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "type": "string",
       "pattern": "^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
      },
      "example": "web",
      "in": "path",
      "name": "backup",
      "required": true,
      "description": "Name of the backup"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "backup restore",
    "x-permission": "backups:restore",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/RestoreReport"
        },
        "example": {
         "manifest": {
          "product": "steelyard",
          "format": 1,
          "version": "0.1.0",
          "schemaVersion": 2,
          "hostname": "lb1",
          "time": "2026-01-02T03:04:05.000Z",
          "generation": 7,
          "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
          "identity": true,
          "history": 0,
          "nics": [
           {
            "name": "eth0",
            "mac": "52:54:00:12:34:56",
            "driver": "virtio_net",
            "bus": "0000:00:03.0"
           }
          ]
         },
         "restored": false,
         "nics": [
          {
           "name": "eth0",
           "to": "eth0",
           "by": "mac",
           "reason": "the same card, by its permanent MAC address",
           "candidates": []
          }
         ],
         "identity": false,
         "plan": {
          "generation": 8,
          "warnings": [],
          "steps": [],
          "confirmWithin": 0,
          "reasons": []
         },
         "differences": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/system/backup-schedule": {
   "get": {
    "operationId": "getBackupSchedule",
    "summary": "Read the schedule of backups",
    "tags": [
     "Backups"
    ],
    "description": "Backups the box makes by itself, for public keys of age: their secret keys are not on the box.",
    "x-permission": "backups:read",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/BackupSchedule"
        },
        "example": {
         "enabled": true,
         "time": "03:00",
         "days": [
          "sunday"
         ],
         "keep": 7,
         "recipients": [
          "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
         ],
         "identity": true,
         "history": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "304": {
      "description": "The tag of If-None-Match still holds",
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   },
   "put": {
    "operationId": "putBackupSchedule",
    "summary": "Replace the schedule of backups",
    "tags": [
     "Backups"
    ],
    "description": "Fields that are left out go back to their defaults.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/BackupScheduleInput"
       },
       "example": {
        "enabled": true,
        "time": "03:00",
        "days": [
         "sunday"
        ],
        "keep": 7,
        "recipients": [
         "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
        ],
        "identity": true,
        "history": false
       }
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/IfNoneMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "backups:update",
    "responses": {
     "200": {
      "description": "The settings; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/BackupSchedule"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The settings; for a dry run, the plan"
        },
        "example": {
         "enabled": true,
         "time": "03:00",
         "days": [
          "sunday"
         ],
         "keep": 7,
         "recipients": [
          "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
         ],
         "identity": true,
         "history": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   },
   "patch": {
    "operationId": "patchBackupSchedule",
    "summary": "Change some of the schedule of backups (JSON merge patch, RFC 7396)",
    "tags": [
     "Backups"
    ],
    "description": "Fields that are left out stay; null takes one back to its default.",
    "requestBody": {
     "required": true,
     "content": {
      "application/merge-patch+json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      },
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/MergePatchInput"
       },
       "example": {}
      }
     }
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "$ref": "#/components/parameters/IfMatch"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-permission": "backups:update",
    "responses": {
     "200": {
      "description": "The settings; for a dry run, the plan",
      "content": {
       "application/json": {
        "schema": {
         "anyOf": [
          {
           "$ref": "#/components/schemas/BackupSchedule"
          },
          {
           "$ref": "#/components/schemas/Plan"
          }
         ],
         "description": "The settings; for a dry run, the plan"
        },
        "example": {
         "enabled": true,
         "time": "03:00",
         "days": [
          "sunday"
         ],
         "keep": 7,
         "recipients": [
          "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
         ],
         "identity": true,
         "history": false
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "ETag": {
        "$ref": "#/components/headers/ETag"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  },
  "/api/v1/system/factory-reset": {
   "post": {
    "operationId": "resetToFactory",
    "summary": "Reset the box to its factory state, and start it again",
    "tags": [
     "System"
    ],
    "description": "Takes away the configuration with its history, the users, the keys and certificates, the machine id and, unless kept, logs and backups. The box then asks its first questions on its console, or takes an answer file. There is no way back but a backup that is kept elsewhere. Names the host, lest it is another one that is reset.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/FactoryResetInput"
       },
       "example": {
        "hostname": "lb1",
        "keep": [
         "logs"
        ]
       }
      }
     }
    },
    "x-command": "none",
    "x-permission": "factory:reset",
    "responses": {
     "202": {
      "description": "Begun",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/FactoryResetBegun"
        },
        "example": {
         "keep": [
          "logs"
         ],
         "message": "lb1 starts again and asks its first questions"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Location": {
        "$ref": "#/components/headers/Location"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/openapi.json": {
   "get": {
    "operationId": "getOpenApi",
    "summary": "Read this description",
    "tags": [
     "System"
    ],
    "description": "OpenAPI 3.1, made from the schemas that check the requests.",
    "security": [],
    "x-permission": "public",
    "responses": {
     "200": {
      "description": "An OpenAPI 3.1 document",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {},
         "additionalProperties": {},
         "description": "An OpenAPI 3.1 document"
        },
        "example": {
         "openapi": "3.1.0"
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     }
    },
    "parameters": [
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ]
   }
  },
  "/api/v1/configuration/import/zevenet": {
   "post": {
    "operationId": "importZevenet",
    "summary": "Take over a backup of ZEVENET or SKUDONET",
    "tags": [
     "Import"
    ],
    "description": "Reads a backup of the Community Edition 5 to 7 and reports each thing in it as taken, changed or not supported. Without commit=true nothing changes.",
    "requestBody": {
     "required": true,
     "content": {
      "application/gzip": {
       "schema": {
        "type": "string",
        "contentMediaType": "application/gzip",
        "description": "backup-<name>.tar.gz as the old box made it"
       },
       "example": "(the bytes of the file)"
      }
     },
     "description": "backup-<name>.tar.gz as the old box made it"
    },
    "parameters": [
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "dryRun",
      "required": false,
      "description": "true: check everything, change nothing, answer with the plan"
     },
     {
      "schema": {
       "type": "number"
      },
      "in": "query",
      "name": "confirmWithin",
      "required": false,
      "description": "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes"
     },
     {
      "schema": {
       "default": "false",
       "type": "string",
       "enum": [
        "true",
        "false"
       ]
      },
      "in": "query",
      "name": "commit",
      "required": false,
      "description": "true: take it; otherwise nothing changes and the answer says what would"
     },
     {
      "schema": {
       "default": [],
       "anyOf": [
        {
         "type": "string"
        },
        {
         "type": "array",
         "items": {
          "type": "string"
         }
        }
       ]
      },
      "example": [
       "eth0:nic0"
      ],
      "in": "query",
      "name": "map",
      "required": false,
      "description": "Interface of the backup and the one that takes its place here, such as eth0:nic0 (repeatable)"
     },
     {
      "schema": {
       "default": "take",
       "type": "string",
       "enum": [
        "take",
        "keep"
       ]
      },
      "in": "query",
      "name": "interfaces",
      "required": false,
      "description": "keep: the addresses of this box's own interfaces stay, as while the old box is still there"
     },
     {
      "$ref": "#/components/parameters/IdempotencyKey"
     },
     {
      "$ref": "#/components/parameters/RequestId"
     }
    ],
    "x-command": "none",
    "x-permission": "configuration:import",
    "responses": {
     "200": {
      "description": "Done",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/ImportResult"
        },
        "example": {
         "product": "zevenet",
         "version": "5.0.2",
         "committed": false,
         "summary": {
          "taken": 0,
          "changed": 1,
          "notSupported": 0
         },
         "report": [
          {
           "kind": "l4xnat farm",
           "name": "Web",
           "source": "usr/local/zevenet/config/Web_l4xnat.cfg",
           "result": "changed",
           "target": "farms.web",
           "notes": [
            "names here are of a-z, 0-9, - and _: Web is web"
           ]
          }
         ],
         "plan": {
          "generation": 7,
          "warnings": [],
          "steps": [],
          "confirmWithin": 0,
          "reasons": []
         },
         "differences": []
        }
       }
      },
      "headers": {
       "Request-Id": {
        "$ref": "#/components/headers/RequestId"
       },
       "Steelyard-Generation": {
        "$ref": "#/components/headers/Generation"
       },
       "Steelyard-Warnings": {
        "$ref": "#/components/headers/Warnings"
       },
       "Steelyard-Confirm-Before": {
        "$ref": "#/components/headers/ConfirmBefore"
       },
       "Idempotency-Replayed": {
        "$ref": "#/components/headers/Replayed"
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/Problem400"
     },
     "401": {
      "$ref": "#/components/responses/Problem401"
     },
     "403": {
      "$ref": "#/components/responses/Problem403"
     },
     "404": {
      "$ref": "#/components/responses/Problem404"
     },
     "409": {
      "$ref": "#/components/responses/Problem409"
     },
     "412": {
      "$ref": "#/components/responses/Problem412"
     },
     "413": {
      "$ref": "#/components/responses/Problem413"
     },
     "415": {
      "$ref": "#/components/responses/Problem415"
     },
     "422": {
      "$ref": "#/components/responses/Problem422"
     },
     "429": {
      "$ref": "#/components/responses/Problem429"
     },
     "500": {
      "$ref": "#/components/responses/Problem500"
     },
     "502": {
      "$ref": "#/components/responses/Problem502"
     },
     "503": {
      "$ref": "#/components/responses/Problem503"
     },
     "507": {
      "$ref": "#/components/responses/Problem507"
     }
    }
   }
  }
 },
 "servers": [
  {
   "url": "/",
   "description": "The appliance this description comes from"
  },
  {
   "url": "https://{address}:{port}",
   "description": "An appliance by its address",
   "variables": {
    "address": {
     "default": "192.0.2.5",
     "description": "Management address or name of the box"
    },
    "port": {
     "default": "444",
     "description": "system.management.port"
    }
   }
  }
 ],
 "security": [
  {
   "session": []
  }
 ],
 "tags": [
  {
   "name": "Sessions",
   "description": "Logging in and out"
  },
  {
   "name": "Users",
   "description": "Who may log in"
  },
  {
   "name": "Groups",
   "description": "Users who share roles"
  },
  {
   "name": "Roles",
   "description": "What users may do"
  },
  {
   "name": "Directories",
   "description": "LDAP and Active Directory servers that check passwords"
  },
  {
   "name": "API keys",
   "description": "Keys for programs"
  },
  {
   "name": "Audit",
   "description": "Who did what, and who was refused"
  },
  {
   "name": "Farms",
   "description": "Services that are balanced, their backends, and their state"
  },
  {
   "name": "Network",
   "description": "Interfaces, virtual addresses, and the links the machine has"
  },
  {
   "name": "Routing",
   "description": "Routing tables, rules and routes, and what the kernel has of them"
  },
  {
   "name": "Certificates",
   "description": "Certificates, their keys and requests"
  },
  {
   "name": "System",
   "description": "The box itself"
  },
  {
   "name": "Configuration",
   "description": "The whole configuration, its history, and going back"
  },
  {
   "name": "Backups",
   "description": "Taking the configuration and the keys away, and putting them back"
  },
  {
   "name": "Import",
   "description": "Configurations of other products"
  },
  {
   "name": "Jobs",
   "description": "Long operations: progress, log, result and cancelling"
  },
  {
   "name": "Events",
   "description": "What happens, as it happens"
  }
 ]
};
