module vpcbus

go 1.19
